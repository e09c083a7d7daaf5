import { DAMAGED, LAPPED } from '../../../assembly/layout.js';
import type { BlockHeader, LaneRange } from '../../block/header.js';
import { TapeError } from '../../errors.js';
import type { FieldKind, Fields } from '../../schema.js';
import type { CatalogBlock } from '../../segment/catalog.js';
import { type AnyColumn, type Batch, OptionalColumn, type SymbolColumn } from '../batch.js';
import { selectRows } from '../plan.js';
import type { TapeBlocks } from '../reader.js';
import { type Where, whereRows } from '../where.js';
import type { LaneName } from './live-batch.js';
import type { RowFilter } from './live-rows.js';
import { type JournalPlace, type Lane, LiveSession } from './live-session.js';
import { rowKeys } from './row-keys.js';

/** How often it is looked whether there are new lanes, or another session. */
const LOOK_AROUND_MS = 100;
/** How often the blocks are looked at though no lane has let go of anything: while nobody writes, and while somebody does. */
const LIST_MS = 1000;
const LIST_LIVE_MS = 10_000;
/** So many polls that find nothing, or records, go without a look at the clock. */
const POLLS_PER_CLOCK = 32;
/** What lies between `head` and `tail` is read again where it was written over meanwhile. */
const MOST_STARTS = 100;

/** What a tail reads of, with its own view of the blocks. */
export interface TailSource<F extends Fields = Fields> extends JournalPlace<F> {
  blocks: TapeBlocks<F>;
  nowMs(): number;
}

export interface FollowerFilter extends RowFilter {
  where: Where | null;
}

const nameOf = ({ epoch, lane }: LaneName) => `${epoch} ${lane}`;

/**
 * Gives every record once: from blocks what is sealed, from lanes what is not yet.
 *
 * It knows of each lane up to which position its records were given, and reads on from there. Once a lane's `head` is past that, all that
 * it missed is in blocks, as it is when a session is over, and it goes through the blocks that it has not seen. Of a block of which some
 * records were given before, those are left out: it still has what it read of lanes since, a ring of each at most, and compares.
 * Records that are equal in every field stand for each other there.
 */
export class Follower<F extends Fields> {
  readonly #source: TailSource<F>;
  readonly #filter: FollowerFilter;
  /** Positions before which all was given, of lanes that are not open in `#session`. */
  readonly #given = new Map<string, bigint>();
  #session: LiveSession<F> | null = null;
  /** The last session that is known to be over. */
  #overEpoch = -1;
  /** Blocks before it were seen. */
  #nextSequence = 0n;
  /** Blocks to go through, the next one last; null while there is nothing to catch up with. */
  #blocks: CatalogBlock[] | null = null;
  #endsSession = false;
  /** The lane that is read next in this round. */
  #turn = 0;
  /** A lane of which what comes next can't be read: blocks may have it. */
  #stuck: Lane | null = null;
  /** Before that, all blocks are new. */
  #wasLive = false;
  #polls = 0;
  #lookedAroundMs = -Infinity;
  #listedMs: number;
  #isIdle = false;
  #isFinishing = false;
  #isClosed = false;

  /** `fromNow`: what is there already is not given. @throws TapeError of files that are not what they should be */
  constructor(source: TailSource<F>, filter: FollowerFilter, fromNow: boolean) {
    this.#source = source;
    this.#filter = filter;
    this.#listedMs = source.nowMs();
    try {
      if (fromNow) this.#startNow();
      else this.#catchUp();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Whether the last `poll` found nothing to do, so that there is time to sleep. */
  get isIdle(): boolean {
    return this.#isIdle;
  }

  // ---- where it starts ------------------------------------------------------------------------------------------------------------------

  /** Behind all that is there. What lanes still hold is read, not given: a block will have it together with what comes next. */
  #startNow(): void {
    for (let start = 0; start < MOST_STARTS; start++) {
      const last = this.#source.blocks.list().at(-1);
      if (last !== undefined) this.#nextSequence = last.sequence + BigInt(last.count);
      this.#session?.close();
      this.#session = LiveSession.open(this.#source, -1);
      const session = this.#session;
      if (session === null) return;
      this.#wasLive = true;
      session.findLanes(() => 0n);
      session.look();
      for (const lane of session.lanes) session.moveTo(lane, session.headOf(lane));
      session.look();
      this.#turn = session.lanes.length;
      const passed = session.lanes.map((lane) => this.#passOver(session, lane));
      if (!passed.includes(false)) return;
    }
  }

  #passOver(session: LiveSession<F>, lane: Lane): boolean {
    const limit = session.limitOf(lane);
    while (session.positionOf(lane) < limit) {
      if (session.follow(lane) !== DAMAGED) continue;
      session.moveTo(lane, limit);
      return false;
    }
    return true;
  }

  // ---- one step -------------------------------------------------------------------------------------------------------------------------

  /**
   * The next records, or null where there are none now (`isIdle`), or none among those that it has just read. A live batch and its arrays
   * hold until the next call.
   * @throws TapeError as `scan`, and of the journal's files
   */
  poll(): Batch<F> | null {
    if (this.#isClosed) throw new TapeError('CLOSED', 'this tail was closed: begin another');
    this.#isIdle = false;
    if (this.#blocks !== null) return this.#pollBlocks(this.#blocks);
    if (this.#isFinishing) {
      this.#isIdle = true;
      return null;
    }
    const session = this.#session;
    if (session !== null && this.#turn < session.lanes.length) {
      const batch = this.#pollLane(session);
      // Limits hold until each lane had its turn: so what `recall` is asked for is still there.
      if (batch !== null || this.#turn < session.lanes.length) return batch;
    }
    if (++this.#polls >= POLLS_PER_CLOCK || session === null) {
      this.#polls = 0;
      if (this.#lookAround()) return null;
    }
    if (session === null || session !== this.#session) {
      this.#isIdle = this.#session === null;
      return null;
    }
    const fresh = session.look();
    if (fresh === LAPPED) this.#catchUp();
    else if (fresh === 0 || this.#stuck !== null) this.#isIdle = true;
    if (fresh > 0) {
      this.#turn = 0;
      return this.#pollLane(session);
    }
    return null;
  }

  /** From the lane whose turn it is, or the next one that has something. */
  #pollLane(session: LiveSession<F>): Batch<F> | null {
    for (; this.#turn < session.lanes.length; this.#turn++) {
      const lane = session.lanes[this.#turn];
      const count = session.follow(lane);
      if (count === 0) continue;
      if (count === DAMAGED) {
        // Written over meanwhile; or it never was a record: then each look around looks for it in the blocks.
        if (this.#stuck !== null) continue;
        this.#stuck = lane;
        this.#catchUp();
        return null;
      }
      if (this.#stuck === lane) this.#stuck = null;
      return this.#liveBatch(session, lane, count);
    }
    return null;
  }

  #liveBatch(session: LiveSession<F>, lane: Lane, count: number): Batch<F> | null {
    const { rows } = session;
    const { where } = this.#filter;
    const kept = rows.keep(count, this.#filter);
    if (kept === 0) return null;
    const batch = rows.batch(kept, lane.name);
    if (where === null) return batch;
    const wanted = whereRows(where, batch as unknown as Batch);
    if (wanted === null) return batch;
    if (wanted.length === 0) return null;
    rows.keepRows(wanted);
    return rows.batch(wanted.length, lane.name);
  }

  /** Now and then: other sessions, lanes that are new. Whether there is something to do first. */
  #lookAround(): boolean {
    const now = this.#source.nowMs();
    if (now - this.#lookedAroundMs < LOOK_AROUND_MS) return false;
    this.#lookedAroundMs = now;
    if (this.#session?.isOver()) {
      this.#endsSession = true;
      this.#catchUp();
      return true;
    }
    this.#session ??= LiveSession.open(this.#source, this.#overEpoch);
    this.#wasLive ||= this.#session !== null;
    if (this.#session !== null) {
      const { length } = this.#session.lanes;
      this.#session.findLanes((lane) => this.#given.get(nameOf(lane)) ?? 0n);
      if (this.#session.lanes.length > length) this.#turn = this.#session.lanes.length;
    }
    // A session may have come and gone between two looks. And of blocks that all were given none is left for when there is need to hurry.
    const isDue = now - this.#listedMs >= (this.#session === null ? LIST_MS : LIST_LIVE_MS);
    if (!isDue && this.#stuck === null) return false;
    this.#catchUp();
    return true;
  }

  // ---- catching up with blocks ------------------------------------------------------------------------------------------------------------

  /** Goes through all blocks that are new. Positions before a lane's `head`, as of the last look, are in blocks by then. */
  #catchUp(): void {
    const { blocks, nowMs } = this.#source;
    this.#listedMs = nowMs();
    this.#blocks = blocks.list().filter(({ sequence }) => sequence >= this.#nextSequence);
    this.#blocks.reverse();
  }

  #pollBlocks(blocks: CatalogBlock[]): Batch<F> | null {
    const block = blocks.pop();
    if (block !== undefined) return this.#ofBlock(block);
    this.#blocks = null;
    const session = this.#session;
    if (session === null) return null;
    if (this.#endsSession) {
      this.#endsSession = false;
      this.#overEpoch = session.epoch;
      for (const lane of session.lanes) this.#given.set(nameOf(lane.name), session.positionOf(lane));
      session.close();
      this.#session = null;
      return null;
    }
    let moved = false;
    for (const lane of session.lanes) {
      const head = session.headOf(lane);
      if (head <= session.positionOf(lane)) continue;
      session.moveTo(lane, head);
      moved = true;
    }
    if (moved) this.#stuck = null;
    this.#turn = session.lanes.length;
    return null;
  }

  #positionOf(lane: LaneName): bigint {
    const open = this.#session?.find(lane);
    return open === undefined ? (this.#given.get(nameOf(lane)) ?? 0n) : this.#session!.positionOf(open);
  }

  #moveTo(lane: LaneName, position: bigint): void {
    const open = this.#session?.find(lane);
    if (open === undefined) this.#given.set(nameOf(lane), position);
    else this.#session!.moveTo(open, position);
  }

  /** What is wanted of a block and was not given yet. */
  #ofBlock(block: CatalogBlock): Batch<F> | null {
    const { blocks } = this.#source;
    const { fromNs } = this.#filter;
    this.#nextSequence = block.sequence + BigInt(block.count);
    // Nothing of it is wanted. Where its lanes stand shows in their `head`.
    if (fromNs !== null && block.greatestNs < fromNs) return null;
    if (this.#wasLive) {
      const header = blocks.readHeader(block);
      if (header === null || header.laneRanges.every((range) => range.to <= this.#positionOf(range))) return null;
    }
    const read = blocks.readBlock(block);
    if (read === null) return null;
    const { header, batch } = read;
    const partly = header.laneRanges.filter((range) => range.from < this.#positionOf(range));
    const fresh = partly.length === 0 ? null : this.#notGiven(header, batch, partly);
    for (const range of header.laneRanges) {
      if (range.to > this.#positionOf(range)) this.#moveTo(range, range.to);
    }
    this.#stuck = null;
    return this.#select(batch, fresh);
  }

  /** The rows of a block that were not given live. @throws TapeError `CORRUPT` where it lacks one that was */
  #notGiven(header: BlockHeader, batch: Batch<F>, partly: readonly LaneRange[]): Uint32Array {
    const given = new Map<string, number>();
    let left = 0;
    for (const range of partly) {
      const lane = this.#session?.find(range);
      const position = this.#positionOf(range);
      if (lane === undefined)
        throw new TapeError('CORRUPT', `block ${header.sequence}: more of lane ${range.lane} than there was`, {
          block: header.sequence,
        });
      for (const live of this.#session!.recall(lane, range.from, position < range.to ? position : range.to)) {
        const keyOf = rowKeys(live as unknown as Batch);
        for (let row = 0; row < live.length; row++, left++) given.set(keyOf(row), (given.get(keyOf(row)) ?? 0) + 1);
      }
    }
    const rows = new Uint32Array(batch.length);
    const keyOf = rowKeys(batch as unknown as Batch);
    let kept = 0;
    for (let row = 0; row < batch.length; row++) {
      const key = keyOf(row);
      const count = given.get(key) ?? 0;
      if (count === 0) rows[kept++] = row;
      else {
        given.set(key, count - 1);
        left--;
      }
    }
    if (left > 0) {
      throw new TapeError('CORRUPT', `block ${header.sequence} lacks ${left} records that lay in its lanes`, {
        block: header.sequence,
      });
    }
    return rows.slice(0, kept);
  }

  /** The rows that are wanted, of these (null: all). */
  #select(whole: Batch<F>, fresh: Uint32Array | null): Batch<F> | null {
    const { symbols, fromNs, where } = this.#filter;
    const { fields } = this.#source.schema;
    let batch = fresh === null ? whole : whole.pick(fresh);
    const columns = batch.columns as unknown as Record<string, AnyColumn>;
    const named = (kind: FieldKind) => columns[fields.find((field) => field.kind === kind)!.name];
    const times = fromNs === null ? null : (named('timestamp') as BigInt64Array);
    const range = { from: fromNs ?? undefined };
    const rows = selectRows(batch.length, times, range, symbols === null ? null : wantedIds(named('symbol'), symbols));
    if (rows !== null) batch = batch.pick(rows);
    const passing = where === null ? null : whereRows(where, batch as unknown as Batch);
    if (passing !== null) batch = batch.pick(passing);
    return batch.length === 0 ? null : batch;
  }

  /** After this it gives what is in blocks now, and no more: the tape was closed. */
  finish(): void {
    this.#isFinishing = true;
    this.#endsSession = this.#session !== null;
    this.#catchUp();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#session?.close();
    this.#source.blocks.close();
  }
}

/** Which ids of a column of symbols have these names. */
function wantedIds(column: AnyColumn, names: ReadonlySet<string>) {
  const { values, present } = column instanceof OptionalColumn ? column : { values: column, present: null };
  const symbols = values as SymbolColumn;
  const wanted = new Set<number>();
  for (let row = 0; row < symbols.length; row++) if (names.has(symbols.at(row))) wanted.add(symbols.ids[row]);
  return { ids: symbols.ids, present, wanted };
}
