// Where everything lies in a tape's shared memory and in a lane's file. Both compilers read this file (AssemblyScript for
// the kernels, TypeScript for src/), so it holds constants only, made of literals, `+` and `*`.
//
//   [ module statics | control | symbol table | lane windows … | flusher scratch … ]
//
// Every window that a file may be mapped over starts on a WINDOW_ALIGN boundary.

export const WINDOW_ALIGN = 65536;

// ---- control window: words shared by all threads of the process, and by others through the counters' file ---------------------
export const CONTROL = 65536;
export const CONTROL_BYTES = 65536;
/** i32: one of TAPE_*; a producer reads it after each publish. Read-mostly, so alone on its cache lines. */
export const CONTROL_STATE = CONTROL;
/** i32: lock of the symbol table, 0 free, 1 held. */
export const CONTROL_SYMBOL_LOCK = CONTROL + 128;
/** u64 each: what the flusher has sealed so far in this session. */
export const CONTROL_SEALED_RECORDS = CONTROL + 256;
export const CONTROL_SEALED_BLOCKS = CONTROL + 264;
export const CONTROL_RAW_BYTES = CONTROL + 272;
export const CONTROL_STORED_BYTES = CONTROL + 280;
/** u64 each: the mark of retention, and what it has dropped so far in this session. */
export const CONTROL_FIRST_SEQUENCE = CONTROL + 320;
export const CONTROL_DROPPED_RECORDS = CONTROL + 328;
export const CONTROL_DROPPED_SEGMENTS = CONTROL + 336;
export const CONTROL_DROPPED_BYTES = CONTROL + 344;
/** u64 each: of these, what was stored in fewer copies than asked for. */
export const CONTROL_DEGRADED_BLOCKS = CONTROL + 288;
export const CONTROL_DEGRADED_RECORDS = CONTROL + 296;
/** What the counters' file says of itself, at offsets from CONTROL. Written once, but for the heartbeat. */
export const COUNTERS_MAGIC = 896;
export const COUNTERS_VERSION = 904;
export const COUNTERS_EPOCH = 908;
export const COUNTERS_TAPE_ID = 912;
/** i64: when the session began, and when the flusher last looked at the lanes; wall clock in ns. */
export const COUNTERS_STARTED_NS = 928;
export const COUNTERS_HEARTBEAT_NS = 936;
export const COUNTERS_FINGERPRINT = 944;
/** u32: on how many storage nodes each block is to be. */
export const COUNTERS_REDUNDANCY = 952;
/** The schema's field table: u32 count, then FIELD_BYTES a field, from CONTROL_FIELDS on. */
export const CONTROL_FIELD_COUNT = CONTROL + 1024;
export const CONTROL_FIELDS = CONTROL + 1088;
export const FIELD_BYTES = 16;
/** Of a schema. The table has an entry more for every eight of them that are optional: their presence bits. */
export const MAX_FIELDS = 200;
/**
 * Per storage node, STORAGE_COUNTER_BYTES each: u64 blocks, bytes, errors, state (STORAGE_*), bytes in flight, microseconds that a write takes
 * of late, and at most.
 */
export const CONTROL_STORAGE = CONTROL + 8192;
export const STORAGE_COUNTER_BYTES = 64;
export const MAX_STORAGE_NODES = 64;
export const STORAGE_HEALTHY = 0;
export const STORAGE_ASIDE = 1;
export const STORAGE_HUNG = 2;
/**
 * Per collector, COLLECTOR_BYTES each, written by the collector alone but for the state: f64 state (COLLECTOR_*), lane, messages, bytes of
 * them, messages that were rejected, gaps, restarts, and ns of the wall clock when it began to receive and when it last received; then the
 * name, UTF-8, zero-padded; then u32 counts of sampled appends by how long they took, as in src/collect/collector-counters.ts.
 */
export const CONTROL_COLLECTORS = CONTROL + 16384;
export const COLLECTOR_BYTES = 768;
export const COLLECTOR_NAME = 80;
export const COLLECTOR_NAME_BYTES = 48;
export const COLLECTOR_BUCKETS = 128;
export const MAX_COLLECTORS = 64;
export const COLLECTOR_NONE = 0;
export const COLLECTOR_STARTING = 1;
export const COLLECTOR_RUNNING = 2;
export const COLLECTOR_WAITING = 3;
export const COLLECTOR_ENDED = 4;

export const TAPE_OPEN = 1;
export const TAPE_CLOSING = 2;
export const TAPE_FAILED = 3;

// ---- symbol table window: a 4 KiB header, then SYMBOL_BYTES an entry ------------------------------------------------------
export const SYMBOLS = CONTROL + CONTROL_BYTES;
export const SYMBOL_HEADER_BYTES = 4096;
/** u32 in the header: how many entries are published. */
export const SYMBOL_COUNT = 128;
export const SYMBOL_BYTES = 64;
/** Entry: u64 XXH64 (seed: the id) of bytes 8..63, u8 length, then up to 55 bytes of UTF-8, the rest zero. */
export const SYMBOL_LENGTH = 8;
export const SYMBOL_NAME = 9;
export const SYMBOL_NAME_MAX = 55;

// ---- lane window and lane file: a 4 KiB header, then the ring --------------------------------------------------------------
export const MAX_LANES = 64;
export const LANE_HEADER_BYTES = 4096;
export const LANE_MAGIC = 0;
export const LANE_VERSION = 8;
export const LANE_HEADER_SIZE = 12;
export const LANE_TAPE_ID = 16;
export const LANE_FINGERPRINT = 32;
export const LANE_EPOCH = 40;
export const LANE_ID = 44;
/** u32: bytes of a record's fixed part, header included; the whole record where no field varies. */
export const LANE_RECORD_BYTES = 48;
/** u32: 1 where records vary in length. */
export const LANE_VARIABLE = 52;
/** u64: bytes of the ring. */
export const LANE_CAPACITY = 56;
/** u64: mixed into every record's checksum, so that a record of another lane or epoch is never taken for one of this. */
export const LANE_SALT = 64;
export const LANE_CREATED_NS = 72;
/** u64: XXH64 of bytes 0..119. */
export const LANE_CHECKSUM = 120;
/** u64: bytes published since the lane was made. Written by the producer alone. */
export const LANE_TAIL = 128;
// The producer's own line: nobody else reads it while the lane is in use, but for the counters (statistics).
/** u64: its copy of `head`, refreshed only when it says full. */
export const LANE_CACHED_HEAD = 256;
/** u64: position mod capacity, kept so that the hot path never divides. */
export const LANE_OFFSET = 264;
export const LANE_RECORDS = 272;
export const LANE_DROPS = 280;
/** u64: bytes copied out. Written by the flusher alone. */
export const LANE_DRAINED = 384;
/** u64: bytes whose blocks are on their storage nodes: the space before it may be used again. Written by the flusher alone. */
export const LANE_HEAD = 512;
/** i32: 1 while the producer waits for room, asleep on this word: who has news for it stores 0 and notifies. */
export const LANE_WAITING = 640;
/** u64: position at which a closing tape stopped taking records of this lane; ~0 until then. */
export const LANE_SEALED_AT = 768;
/** i32: one of LANE_FREE, LANE_IN_USE, LANE_LEFT. */
export const LANE_STATE = 896;
/** u64 each: the arguments of the append under way. */
export const LANE_ARGUMENTS = 2048;
/** A symbol table entry: the name being interned. */
export const LANE_SYMBOL = 4032;

export const LANE_FREE = 0;
export const LANE_IN_USE = 1;
export const LANE_LEFT = 2;

// ---- record: in the ring and in the flusher's row buffer; 8-aligned, a multiple of 8 bytes ------------------------------------
/** u64 checksum over position, salt and the bytes after it. */
export const RECORD_CHECKSUM = 0;
/** u32: bytes of the whole record. */
export const RECORD_SIZE = 8;
/** u32: RECORD_DATA or RECORD_PADDING. */
export const RECORD_KIND = 12;
export const RECORD_TIMESTAMP = 16;
export const RECORD_HEADER_BYTES = 16;
export const RECORD_DATA = 1;
export const RECORD_PADDING = 2;

// ---- field kinds, as stored in field tables, block headers and schema fingerprints ----------------------------------------------
export const KIND_TIMESTAMP = 1;
export const KIND_SYMBOL = 2;
export const KIND_DECIMAL = 3;
export const KIND_F64 = 4;
export const KIND_F32 = 5;
export const KIND_I8 = 6;
export const KIND_I16 = 7;
export const KIND_I32 = 8;
export const KIND_I64 = 9;
export const KIND_U8 = 10;
export const KIND_U16 = 11;
export const KIND_U32 = 12;
export const KIND_U64 = 13;
export const KIND_TEXT = 14;
export const KIND_BYTES = 15;

// A field table has the fields in the order in which they lie in a record, the timestamp first. An entry: u8 kind, u8 scale, u8
// width in bits, u8 zero, u32 offset in the record, f64 multiplier (10^scale). The bytes of presence bits are entries behind them, u8
// to the kernels: bit k mod 8 of byte k >> 3 is 1 where optional field k, in the schema's order, has a value.
// A text or bytes field has a u32 length at its offset; its bytes follow the fixed part, in field order.
export const FIELD_KIND = 0;
export const FIELD_SCALE = 1;
export const FIELD_BITS = 2;
export const FIELD_OFFSET = 4;
export const FIELD_MULTIPLIER = 8;

// ---- drain state and cursors in the flusher's scratch -------------------------------------------------------------------------------
/** u32: rows in the row buffer. */
export const DRAIN_ROWS = 0;
/** u32: pointer behind the last row. */
export const DRAIN_FILL = 4;
/** u32: 1 when the next row did not fit before the end of the row buffer. */
export const DRAIN_FULL = 8;
export const DRAIN_STATE_BYTES = 64;
/** A lane's cursor: u64 position, u64 limit, i64 timestamp, u32 offset, u32 size (0: exhausted). */
export const CURSOR_POSITION = 0;
export const CURSOR_LIMIT = 8;
export const CURSOR_TIMESTAMP = 16;
export const CURSOR_OFFSET = 24;
export const CURSOR_SIZE = 28;
export const CURSOR_BYTES = 32;

// ---- a reader's cursor of a lane that it follows, in its own memory ----------------------------------------------------------------
/** u64: behind the last record that was copied, and up to where records count, as of the last look. */
export const FOLLOW_POSITION = 0;
export const FOLLOW_LIMIT = 8;
/** u64: `head`, as of the last look. */
export const FOLLOW_HEAD = 16;
/** Of the lane's header, which was checked: the file itself may change. u64 salt, u32 capacity, u32 least bytes of a record. */
export const FOLLOW_SALT = 24;
export const FOLLOW_CAPACITY = 32;
export const FOLLOW_RECORD_BYTES = 36;
/** u32 pointers: to the lane's window, and to a ring of the same size where records are copied to. */
export const FOLLOW_LANE = 40;
export const FOLLOW_COPY = 44;
/** u32 of the first cursor: changed for the order that it brings. */
export const FOLLOW_FENCE = 48;
/** u64: up to where the last `recall` came. */
export const FOLLOW_RECALLED = 56;
export const FOLLOW_BYTES = 64;
/** What `lookAtLanes` answers where a lane's `head` has passed its cursor. */
export const LAPPED = -1;

// ---- codec --------------------------------------------------------------------------------------------------------------------------
/** Values that a dictionary holds at most, and slots of the hash table (16 bytes each) that makes one. */
export const MAX_DICTIONARY = 256;
export const DICTIONARY_SLOTS = 1024;
/** How far apart values may be for a plain table. */
export const DICTIONARY_RANGE = 4096;

// ---- Huffman segments -------------------------------------------------------------------------------------------------------------------
/** What the coder needs beside source and output; 8-aligned. */
export const HUFFMAN_SCRATCH_BYTES = 16384;
/** A segment takes no more than its symbols and this. */
export const HUFFMAN_SEGMENT_OVERHEAD = 5;
/** What the encoder may write over behind a segment. */
export const HUFFMAN_SLACK_BYTES = 8;

// ---- what hot kernels answer below zero ------------------------------------------------------------------------------------------------
/** No room before `head + capacity`. */
export const FULL = -1;
/** Published while the tape was closing: LANE_SEALED_AT decides whether it counts. */
export const CLOSING = -2;
/** The record is larger than the ring allows. */
export const TOO_LARGE = -3;
/** A record of lane i in use fails its checks: DAMAGED - i. */
export const DAMAGED = -100;
/** Field i was refused (range, not a whole number, not a decimal of that scale): REFUSED - i. */
export const REFUSED = -1000;

// ---- bars: an accumulator a symbol --------------------------------------------------------------------------------------------

/** u64: records in it; 0 where it is to begin anew. */
export const BAR_COUNT = 0;
/** f64 each. */
export const BAR_OPEN = 8;
export const BAR_HIGH = 16;
export const BAR_LOW = 24;
export const BAR_CLOSE = 32;
/** i128 in last places of the sizes, or f64. */
export const BAR_VOLUME = 40;
/** Sum of price times size: i128 in last places of the two, or f64. */
export const BAR_TURNOVER = 56;
export const BAR_BYTES = 72;
/** What `bars` answers where it can't go on. */
export const BARS_BAD_SLOT = -1;
export const BARS_TOO_LARGE = -2;
