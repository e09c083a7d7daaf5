export type { ColumnChoice } from './block/encoder.js';
export { type Collection, type CollectOptions, feedSource } from './collect/collect.js';
export type { CollectorEvent } from './collect/collector.js';
export type { CollectorState, CollectorStats } from './collect/collector-counters.js';
export type { CollectorContext, CollectorSource } from './collect/context.js';
export type { FeedOptions } from './collect/feed-source.js';
export { TapeError, type TapeErrorCode, type TapeErrorDetails } from './errors.js';
export type { CompressionChoice, FlushReport } from './flush/flusher.js';
export { Gap } from './gaps.js';
export type { Appender, AppenderHandle } from './journal/appender.js';
export type { RecoveryReport } from './journal/recovery.js';
export { openAppender, openTape, type ReadOptions, readSchema } from './open.js';
export type { Compression, Durability, FlusherPlace, OnFull, RetentionOptions, TapeOptions } from './options.js';
export type { Bar, BarOptions } from './read/bars.js';
export type {
  Batch,
  BytesColumn,
  ColumnOf,
  ColumnsOf,
  OptionalColumn,
  SymbolColumn,
  TextColumn,
} from './read/batch.js';
export type { Damage } from './read/reader.js';
export type { Replay, ReplayedRecord, ReplayOptions } from './read/replay.js';
export type { ScanOptions } from './read/scan.js';
export type { RecordOptions } from './read/selection.js';
export type { Follower } from './read/tail/follower.js';
export type { LaneName, LiveBatch } from './read/tail/live-batch.js';
export type { FollowOptions, Tail, TailOptions, TailStart } from './read/tail/tail.js';
export type { TapeReader } from './read/tape-reader.js';
export { repairTape } from './repair.js';
export type { Field, FieldKind, Fields, IsOptional, RecordOf, Schema, ValueOf, ValuesOf } from './schema.js';
export {
  bytes,
  decimal,
  defineSchema,
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  optional,
  symbol,
  text,
  timestamp,
  u8,
  u16,
  u32,
  u64,
} from './schema.js';
export * as schemas from './schemas.js';
export type { LaneStats, RetentionStats, SessionFigures, SessionState, StorageNodeStats, TapeStats } from './stats.js';
export type { Degraded } from './storage/replicator.js';
export type { RepairCounts, RepairProgress, Trouble } from './storage/scrub/repair.js';
export type { RepairOptions, RepairResult } from './storage/scrub/repair-tape.js';
export type { Verdict, VerifyOptions } from './storage/scrub/verify.js';
export type { GapOptions, OpenGap, Tape } from './tape.js';
