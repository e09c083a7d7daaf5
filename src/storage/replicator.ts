import type { BlockHeader } from '../block/header.js';
import { assert, TapeError } from '../errors.js';
import { ioError } from '../io.js';
import { place } from './placement.js';
import type { StorageNode, StoredCopy } from './storage-node.js';

/** What to do with a block while fewer than R storage nodes are healthy: keep fewer copies of it, or wait for the others. */
export type Degraded = 'continue' | 'stop';

export interface ReplicatorOptions {
  redundancy: number;
  degraded: Degraded;
  /** Copies survive a power cut before a block counts as stored. */
  durable: boolean;
  /** A storage node that takes longer for one write or sync is set aside. */
  writeTimeoutMs: number;
  /** From 0 up to 1. */
  random(): number;
  nowMs(): number;
  /** Told when a storage node is set aside, or when blocks can't be stored. */
  onTrouble(error: TapeError): void;
}

/** How one storage node is doing, and what it was given in this session. */
export interface StorageLoad {
  readonly node: StorageNode;
  blocks: number;
  bytes: number;
  errors: number;
  lastError: Error | null;
  /** Milliseconds of `nowMs` until which it is set aside. */
  asideUntilMs: number;
  /** Operations that ran out of time, and have not come back. */
  overdue: number;
  /** Of blocks that it was given and has not committed. */
  inFlightBytes: number;
  /** How long the writing of a block takes: of late, and at most. */
  writeMs: number;
  slowestWriteMs: number;
}

/** `aside`: it failed and is left alone for a while. `hung`: something has run out of time and not come back. */
export type StorageState = 'healthy' | 'aside' | 'hung';

export function stateOf({ asideUntilMs, overdue }: StorageLoad, nowMs: number): StorageState {
  if (overdue > 0) return 'hung';
  return asideUntilMs > nowMs ? 'aside' : 'healthy';
}

/** After an error a storage node is set aside, each time in a row for twice as long, up to this. */
const LONGEST_ASIDE_MS = 30_000;
const FIRST_ASIDE_MS = 100;
/** Blocks that may be under way at once, and their bytes, of which one block may have more. */
export const MOST_BLOCKS = 8;
const MOST_BYTES = 32 * 1024 ** 2;
/** How much of a new write goes into the time that a storage node takes of late. */
const SMOOTHING = 1 / 8;
/** A storage node is slow where it takes so many times as long as the fastest, and longer than that. */
const TOLERANCE = 4;
const LEAST_SLOW_MS = 1;
const LAST_WRITES = 4;
/** Among equals the one with fewer bytes of this session: a GiB there counts as a KiB in flight. */
const BYTES_THERE = 2 ** -20;
/** What is known of the time that a storage node takes counts half as much after so long, so that a slow one is tried again. */
const FORGET_MS = 5_000;

class Member implements StorageLoad {
  readonly node: StorageNode;
  blocks = 0;
  bytes = 0;
  errors = 0;
  lastError: Error | null = null;
  asideUntilMs = 0;
  overdue = 0;
  inFlightBytes = 0;
  writeMs = 0;
  slowestWriteMs = 0;
  asideMs = 0;
  writtenAtMs = 0;
  /** Of its last writes. */
  readonly #lastMs: number[] = [];
  isSyncing = false;
  readonly queue: Copy[] = [];
  writing: Copy | null = null;

  constructor(node: StorageNode) {
    this.node = node;
  }

  /** What a write takes as a rule: not the one that begins a segment, or that waited for a thread. 0 where too few are known. */
  get usualMs(): number {
    return this.#lastMs.length < 2 ? 0 : Math.min(...this.#lastMs);
  }

  learn(tookMs: number, nowMs: number): void {
    this.writeMs = this.writtenAtMs === 0 ? tookMs : this.writeMs + (tookMs - this.writeMs) * SMOOTHING;
    this.slowestWriteMs = Math.max(this.slowestWriteMs, tookMs);
    this.writtenAtMs = nowMs;
    this.#lastMs.push(tookMs);
    if (this.#lastMs.length > LAST_WRITES) this.#lastMs.shift();
  }
}

/** `queued` → `writing` → `written` → `committing` → `committed`, and with `durable` → `syncing` → `stored`. */
type CopyState = 'queued' | 'writing' | 'written' | 'committing' | 'committed' | 'syncing' | 'stored';

/** A copy of a block on its way to a storage node. */
interface Copy {
  readonly flight: Flight;
  readonly member: Member;
  state: CopyState;
  /** When the operation that is under way began. */
  sinceMs: number;
  /** When it was first seen to take too long; -1: it was not. */
  lateSinceMs: number;
  stored: StoredCopy | null;
  /** Given up by its block: it failed or took too long. */
  isLeft: boolean;
}

/** A block on its way to its storage nodes. */
export interface Flight {
  readonly header: BlockHeader;
  /** Those that had it before. */
  readonly holders: ReadonlySet<StorageLoad>;
  /** On their way or there. */
  readonly copies: readonly { readonly state: CopyState }[];
  /** On how many storage nodes it is, once it is stored. */
  readonly storedOn: number;
}

interface FlightState extends Flight {
  readonly bytes: Uint8Array;
  readonly holders: ReadonlySet<Member>;
  copies: Copy[];
  storedOn: number;
}

/**
 * Puts blocks on `redundancy` distinct storage nodes each, several blocks at once, without waiting for one storage node before it turns to the
 * next. It has no timers: `poll` is to be called every now and then.
 *
 * A block is committed when all of its copies are written, and after all blocks before it are committed: a block that a reader or
 * recovery finds has no missing block before it, whatever ended the process. After a power cut that doesn't hold.
 */
export class Replicator {
  readonly loads: readonly StorageLoad[];
  readonly #members: readonly Member[];
  readonly #options: ReplicatorOptions;
  /** In the order of their sequences, or of recovery. */
  readonly #flights: FlightState[] = [];
  readonly #freeBuffers: Uint8Array<ArrayBuffer>[] = [];
  /** Given up while something was under way that has not come back. */
  readonly #overdueCopies = new Set<Copy>();
  #inFlightBytes = 0;
  /** Of any block that was stored. */
  #leastCopies: number;
  #starved: TapeError | null = null;
  /** Steps that were begun and have not come back. */
  #underWay = 0;
  #isAbandoned = false;
  #changed = new Promise<void>(() => {});
  #tellChanged = () => {};

  constructor(nodes: readonly StorageNode[], options: ReplicatorOptions) {
    this.#members = nodes.map((node) => new Member(node));
    this.loads = this.#members;
    this.#options = options;
    this.#leastCopies = options.redundancy;
    this.#renewChanged();
  }

  #renewChanged(): void {
    this.#tellChanged();
    this.#changed = new Promise((resolve) => {
      this.#tellChanged = resolve;
    });
  }

  /** On how many storage nodes a block should be. */
  get redundancy(): number {
    return this.#options.redundancy;
  }

  /** No more blocks are taken before one that is under way is stored. */
  get isFull(): boolean {
    return this.#flights.length >= MOST_BLOCKS || this.#inFlightBytes >= MOST_BYTES;
  }

  /** Why the oldest block can't be stored at present, or null. It is tried again. */
  get starved(): TapeError | null {
    return this.#starved;
  }

  /** Resolves when something that was under way has ended. */
  get changed(): Promise<void> {
    return this.#changed;
  }

  /** Takes a copy of `bytes` and sends it on its way. `exclude`: indices of storage nodes that have the block already. */
  submit(header: BlockHeader, bytes: Uint8Array, exclude: readonly number[] = []): Flight {
    const flight: FlightState = {
      header,
      bytes: this.#copyOf(bytes),
      holders: new Set(exclude.map((index) => this.#members[index])),
      copies: [],
      storedOn: 0,
    };
    this.#flights.push(flight);
    this.#inFlightBytes += bytes.length;
    this.#advance();
    return flight;
  }

  #copyOf(bytes: Uint8Array): Uint8Array {
    const fit = this.#freeBuffers.findIndex(({ length }) => length >= bytes.length);
    const room =
      fit < 0
        ? new Uint8Array(Math.ceil(bytes.length / BUFFER_STEP) * BUFFER_STEP)
        : this.#freeBuffers.splice(fit, 1)[0];
    const copy = room.subarray(0, bytes.length);
    copy.set(bytes);
    return copy;
  }

  /** The oldest block, if it is stored; each once. */
  takeStored(): Flight | null {
    const flight = this.#flights[0];
    if (flight === undefined || flight.storedOn === 0) return null;
    this.#flights.shift();
    this.#inFlightBytes -= flight.bytes.length;
    const room = new Uint8Array(flight.bytes.buffer as ArrayBuffer);
    // A write that is overdue still reads its own.
    const isRead = this.#members.some(({ overdue }) => overdue > 0);
    if (!isRead && this.#freeBuffers.length < MOST_BLOCKS) this.#freeBuffers.push(room);
    return flight;
  }

  /** Sets aside what takes too long, and tries again what waits for a storage node. */
  poll(): void {
    const nowMs = this.#options.nowMs();
    const isOverdue = ({ state, sinceMs }: Copy) =>
      (state === 'writing' || state === 'committing' || state === 'syncing') &&
      nowMs - sinceMs > this.#options.writeTimeoutMs;
    for (const { copies } of this.#flights) {
      for (const copy of copies.filter(isOverdue)) {
        // After a stall of the whole process what has ended meanwhile is let in first.
        if (copy.lateSinceMs < 0) copy.lateSinceMs = nowMs;
        else if (nowMs - copy.lateSinceMs >= LATE_MS) this.#overdue(copy);
      }
    }
    this.#advance();
  }

  #advance(): void {
    if (this.#isAbandoned) return;
    let mayCommit = true;
    this.#starved = this.#flights.length === 0 ? null : this.#starved;
    for (const [i, flight] of this.#flights.entries()) {
      if (flight.storedOn > 0) continue;
      const missing = this.#placeMissing(flight);
      if (mayCommit && this.#isReady(flight, missing)) this.#commit(flight);
      const isCommitted = this.#isEnough(flight, missing) && flight.copies.every(({ state }) => isVisible(state));
      mayCommit &&= isCommitted;
      if (isCommitted && flight.copies.every(({ state }) => state === this.#last)) this.#store(flight);
      if (i === 0) this.#noteStarvation(flight, missing);
    }
    for (const member of this.#members) this.#writeNext(member);
  }

  /** The state that a copy ends in. */
  get #last(): CopyState {
    return this.#options.durable ? 'stored' : 'committed';
  }

  /** Places what the block lacks; answers how many copies can't be placed at present. */
  #placeMissing(flight: FlightState): number {
    const { redundancy, random, nowMs } = this.#options;
    const missing = redundancy - flight.holders.size - flight.copies.length;
    if (missing <= 0) return 0;
    const now = nowMs();
    const has = new Set<Member>([...flight.holders, ...flight.copies.map(({ member }) => member)]);
    const candidates = this.#members.filter((member) => stateOf(member, now) === 'healthy' && !has.has(member));
    const bytes = flight.bytes.length;
    const known = (member: Member) => {
      const soFarMs = member.writing === null ? 0 : now - member.writing.sinceMs;
      return Math.max(soFarMs, member.usualMs * 0.5 ** ((now - member.writtenAtMs) / FORGET_MS));
    };
    const usualMs = Math.max(TOLERANCE * Math.min(...candidates.map(known)), LEAST_SLOW_MS);
    const load = (member: Member) =>
      (member.inFlightBytes + bytes) * Math.max(1, known(member) / usualMs) + member.bytes * BYTES_THERE;
    const chosen = place(candidates, missing, load, random);
    for (const member of chosen) {
      const copy: Copy = {
        flight,
        member,
        state: 'queued',
        sinceMs: now,
        lateSinceMs: -1,
        stored: null,
        isLeft: false,
      };
      flight.copies.push(copy);
      member.queue.push(copy);
      member.inFlightBytes += bytes;
    }
    assert(
      new Set(flight.copies.map(({ member }) => member)).size === flight.copies.length,
      'copies are on distinct storage nodes',
    );
    return missing - chosen.length;
  }

  /** So many copies will do. */
  #isEnough({ holders, copies }: FlightState, missing: number): boolean {
    if (missing === 0) return true;
    return this.#options.degraded === 'continue' && holders.size + copies.length > 0;
  }

  #isReady(flight: FlightState, missing: number): boolean {
    return (
      this.#isEnough(flight, missing) && flight.copies.every(({ state }) => state !== 'queued' && state !== 'writing')
    );
  }

  #noteStarvation(flight: FlightState, missing: number): void {
    const isStarved = flight.storedOn === 0 && !this.#isEnough(flight, missing);
    if (!isStarved) this.#starved = null;
    else if (this.#starved === null) {
      this.#starved = this.#tooFew(flight);
      this.#options.onTrouble(this.#starved);
    }
  }

  #writeNext(member: Member): void {
    if (member.writing !== null || member.overdue > 0) return;
    const copy = member.queue.shift();
    if (copy === undefined) return;
    const { header, bytes } = copy.flight as FlightState;
    member.writing = copy;
    this.#step(copy, 'writing', async () => {
      const stored = await member.node.write(header, bytes);
      if (copy.isLeft) stored.abandon();
      else copy.stored = stored;
    }).then((isDone) => {
      if (isDone) {
        const nowMs = this.#options.nowMs();
        member.learn(nowMs - copy.sinceMs, nowMs);
        copy.state = 'written';
      }
      if (member.writing === copy) member.writing = null;
      this.#advance();
    });
  }

  #commit(flight: FlightState): void {
    for (const copy of flight.copies) {
      if (copy.state !== 'written') continue;
      this.#step(copy, 'committing', () => copy.stored!.commit()).then((isDone) => {
        if (isDone) this.#committed(copy);
        this.#advance();
      });
    }
  }

  #committed(copy: Copy): void {
    const { member, flight } = copy;
    copy.state = 'committed';
    member.blocks++;
    member.bytes += flight.header.blockBytes;
    member.inFlightBytes -= flight.header.blockBytes;
    member.asideMs = 0;
    if (!this.#options.durable) return;
    this.#step(copy, 'syncing', () => copy.stored!.sync()).then((isDone) => {
      if (isDone) copy.state = 'stored';
      this.#advance();
    });
  }

  /** Does something with the copy that takes its time. `false`: it failed, or the block has given the copy up meanwhile. */
  async #step(copy: Copy, state: CopyState, action: () => Promise<void>): Promise<boolean> {
    const { member } = copy;
    copy.state = state;
    copy.sinceMs = this.#options.nowMs();
    copy.lateSinceMs = -1;
    let isDone = false;
    this.#underWay++;
    try {
      await action();
      isDone = !copy.isLeft;
    } catch (error) {
      if (!copy.isLeft) this.#failed(copy, error as Error);
    }
    this.#underWay--;
    if (this.#overdueCopies.delete(copy)) member.overdue--;
    this.#renewChanged();
    return isDone;
  }

  #overdue(copy: Copy): void {
    const { member, state } = copy;
    const seconds = Math.round(this.#options.writeTimeoutMs / 100) / 10;
    const error = new TapeError(
      'IO',
      `${member.node.name}: ${state} a block takes more than ${seconds} s: is it hung?`,
      {
        storageNode: member.node.name,
      },
    );
    this.#overdueCopies.add(copy);
    member.overdue++;
    this.#failed(copy, error);
  }

  /** The block does without this copy, and the storage node without blocks for a while. */
  #failed(copy: Copy, error: Error): void {
    const { member } = copy;
    const nowMs = this.#options.nowMs();
    const wasHealthy = member.asideMs === 0;
    this.#leave(copy);
    for (const queued of member.queue.splice(0)) this.#leave(queued);
    member.asideMs = Math.min(Math.max(member.asideMs * 2, FIRST_ASIDE_MS), LONGEST_ASIDE_MS);
    member.asideUntilMs = nowMs + member.asideMs;
    member.errors++;
    member.lastError = error;
    if (wasHealthy) {
      const message = `${error.message} (storage node ${member.node.name} is set aside, its share goes to others)`;
      this.#options.onTrouble(troubleOf(member.node, error, message));
    }
  }

  #leave(copy: Copy): void {
    const { flight, member } = copy;
    const state = flight as FlightState;
    assert(!copy.isLeft && state.copies.includes(copy), 'a copy is given up once');
    copy.isLeft = true;
    state.copies = state.copies.filter((other) => other !== copy);
    if (copy.state === 'committed' || copy.state === 'syncing') {
      member.blocks--;
      member.bytes -= flight.header.blockBytes;
    } else member.inFlightBytes -= flight.header.blockBytes;
    if (copy.state === 'written') copy.stored!.abandon();
  }

  #store(flight: FlightState): void {
    flight.storedOn = flight.holders.size + flight.copies.length;
    this.#leastCopies = Math.min(this.#leastCopies, flight.storedOn);
    const { redundancy, degraded } = this.#options;
    assert(
      flight.storedOn >= redundancy || (degraded === 'continue' && flight.storedOn > 0),
      'a stored block has its copies on distinct storage nodes',
    );
  }

  #tooFew({ header, holders, copies }: FlightState): TapeError {
    const failed = this.#members.filter(({ lastError }) => lastError !== null);
    const latest = failed.sort((a, b) => b.asideUntilMs - a.asideUntilMs)[0];
    const cause = latest?.lastError ?? undefined;
    return new TapeError(
      cause instanceof TapeError ? cause.code : 'IO',
      `block ${header.sequence} is on ${holders.size + copies.length} of ${this.#options.redundancy} storage nodes, and no other ` +
        `is healthy: ${cause?.message ?? 'too few are there'}`,
      { cause, block: header.sequence, storageNode: latest?.node.name },
    );
  }

  /** Syncs what was committed; writes may go on meanwhile. A storage node whose last sync is still under way is left out. */
  async sync(): Promise<void> {
    const results = await Promise.allSettled(
      this.#members.map(async (member) => {
        if (member.isSyncing || member.overdue > 0) return;
        member.isSyncing = true;
        try {
          await member.node.sync();
        } catch (error) {
          throw troubleOf(member.node, error as Error);
        } finally {
          member.isSyncing = false;
        }
      }),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Begins nothing more, and waits for what is under way, but for what is hung. */
  async abandon(sleep: (ms: number) => Promise<void>): Promise<void> {
    this.#isAbandoned = true;
    while (this.#underWay > this.#overdueCopies.size) {
      this.poll();
      await Promise.race([this.#changed, sleep(LATE_MS)]);
    }
  }

  /**
   * Closes the storage nodes, what was committed synced; one that is hung, or takes longer than a minute, is left as it is.
   * @throws TapeError where a block may have no copy that would survive a power cut
   */
  async close(sleep: (ms: number, keepAlive: boolean) => Promise<void>): Promise<void> {
    const failures: TapeError[] = [];
    const close = async (node: StorageNode) => {
      const trouble = await node.close();
      if (trouble) this.#options.onTrouble(troubleOf(node, trouble));
      return true;
    };
    await Promise.all(
      this.#members.map(async ({ node, overdue, lastError }) => {
        try {
          if (overdue > 0) throw lastError;
          const isClosed = await Promise.race([close(node), sleep(CLOSE_MS, false)]);
          if (!isClosed) {
            const message = `${node.name}: not synced after ${CLOSE_MS / 1000} s: is it hung?`;
            throw new TapeError('IO', message, { storageNode: node.name });
          }
        } catch (error) {
          failures.push(ioError(error, node.name, 'close it'));
        }
      }),
    );
    if (failures.length >= this.#leastCopies) throw failures[0];
    for (const failure of failures) this.#options.onTrouble(failure);
  }
}

/** What a storage node may take to sync everything at the end. */
const CLOSE_MS = 60_000;
/** What takes too long is given up so much later at the earliest. */
const LATE_MS = 50;
const BUFFER_STEP = 64 * 1024;

function troubleOf({ name }: StorageNode, error: Error, message = error.message): TapeError {
  const { code, path } = error instanceof TapeError ? error : { code: 'IO' as const, path: undefined };
  return new TapeError(code, message, { cause: error, path, storageNode: name });
}

const isVisible = (state: CopyState) => state === 'committed' || state === 'syncing' || state === 'stored';
