import { TapeError } from '../../dist/src/errors.js';
import { repairTapeOn } from '../../dist/src/storage/scrub/repair-tape.js';
import type { Verdict } from '../../dist/src/storage/scrub/verify.js';
import { withChance } from './chance.js';
import { rot } from './damage.js';
import { Dice } from './dice.js';
import { withMemories } from './memories.js';
import { Model, type Producer } from './model.js';
import { type Plan, planOf } from './plan.js';
import { ProcessDied, SimulatedProcess } from './process.js';
import { contentOf } from './records.js';
import { Hang } from './scheduler.js';
import { Disk } from './storage.js';
import { World } from './world.js';
import { openReader, Writer } from './writer.js';

/** What came of a seed. */
export interface Outcome {
  seed: number;
  violations: string[];
  faults: Record<string, number>;
  operations: number;
  records: number;
  /** Of all that happened and was read: the same each time, on every runtime. */
  traceHash: number;
}

/** Recoveries that are killed before one is let through. */
const MOST_KILLED_OPENS = 3;

const MOST_REPAIRS = 20;
/** Steps that a close may take before all disks are well. */
const PATIENT_STEPS = 1000;

type Reader = NonNullable<Awaited<ReturnType<typeof openReader>>>;

interface LiveProducer {
  producer: Producer;
  append: (...values: [bigint, string, number, number, number, string]) => number;
  at: number;
  close: () => void;
  view: DataView;
}

/** One seed, from the first session to the last check. */
export class Scenario {
  readonly #seed: number;
  readonly #plan: Plan;
  readonly #dice: Dice;
  readonly #world: World;
  readonly #model: Model;
  /** Directories of storage nodes that were damaged since all blocks had all their copies. */
  readonly #damaged = new Set<string>();
  #writer: Writer | null = null;
  #live: LiveProducer[] = [];
  /** Blocks may have fewer copies than they should. */
  #thin = false;
  /** That the storage had answered with when the session began. */
  #errorsBefore = 0;
  #processes = 0;
  #operations = 0;

  constructor(seed: number, onTrace: ((line: string) => void) | null = null) {
    this.#seed = seed;
    this.#plan = planOf(seed);
    this.#dice = new Dice(seed, 3);
    const { storage, journal } = this.#plan.options;
    const disks = storage.map((root) => new Disk(root));
    if (journal !== undefined) disks.push(new Disk(journal));
    this.#world = new World(seed, disks, this.#plan.faults.powerCuts > 0);
    this.#world.onTrace = onTrace;
    this.#model = new Model(this.#plan.shape, (what) => this.#world.trace('VIOLATION', what));
    const { retention } = this.#plan.options;
    const byAge = retention?.ageMs !== undefined && retention.bytes === undefined && this.#plan.faults.clockJumps === 0;
    if (byAge) this.#model.oldNs = () => this.#world.wallNs() - BigInt(retention.ageMs!) * 1_000_000n;
    this.#plan.options.onWarning = (message) => this.#world.trace('warning', message);
    this.#world.trace('seed', seed, JSON.stringify(this.#plan));
  }

  run(): Promise<Outcome> {
    return withMemories(() => withChance(new Dice(this.#seed, 4), this.#world.scheduler, () => this.#run()));
  }

  async #run(): Promise<Outcome> {
    try {
      for (let session = 0; session < this.#plan.sessions; session++) await this.#session(session);
      await this.#end();
    } catch (error) {
      if (!(error instanceof Stop)) this.#model.violation(describe(error));
    }
    const { faults, traceHash } = this.#world;
    return {
      seed: this.#seed,
      violations: this.#model.violations,
      faults,
      operations: this.#operations + (this.#writer?.process.operations ?? 0),
      records: this.#model.producers.reduce((sum, { returned }) => sum + returned, 0),
      traceHash: Math.imul(traceHash ^ this.#model.hash, 0x01000193) >>> 0,
    };
  }

  /** Nothing after it could be judged. */
  #stop(what: string): never {
    this.#model.violation(what);
    throw new Stop();
  }

  #process(label: string): SimulatedProcess {
    const process = new SimulatedProcess(this.#world, `${label}${++this.#processes}`);
    this.#world.start(process);
    return process;
  }

  async #session(number: number): Promise<void> {
    const { faults, steps } = this.#plan;
    this.#world.trace('session', number);
    if (this.#dice.chance(0.5 * faults.damage)) this.#damage();
    await this.#open(true);
    if (this.#dice.chance(0.5 * faults.damage)) this.#damage();
    if (this.#dice.chance(0.2)) {
      await this.#repair(true);
      if (!this.#writer!.process.dead) await this.#check('beside a writer');
    }
    const dice = this.#dice;
    const ends = dice.unit();
    const violent = ends < 0.8 * Math.max(faults.deaths, faults.powerCuts);
    const kind = dice.chance(faults.powerCuts / (faults.deaths + faults.powerCuts || 1)) ? 'power cut' : 'death';
    const { process } = this.#writer!;
    if (violent && dice.chance(0.7)) {
      process.fate = { kind, operation: process.operations + dice.between(1, steps * dice.pick([1, 4])) };
    }
    for (let step = dice.between(1, 2 * steps); step > 0 && !process.dead; step--) await this.#step();
    if (!process.dead) {
      process.fate = null;
      if (violent) {
        if (dice.chance(0.3)) this.#dieInAppend();
        this.#world.end(process, kind);
      } else await this.#close();
    }
    await this.#over();
    if (this.#dice.chance(0.3 * faults.powerCuts)) {
      this.#world.trace('machine', 'off');
      this.#world.end(this.#process('nobody'), 'power cut');
      this.#cut();
    }
  }

  /** One thing that the program, or the world, does next. */
  async #step(): Promise<void> {
    const { faults } = this.#plan;
    const { scheduler } = this.#world;
    const writer = this.#writer!;
    const dice = this.#dice;
    const at = dice.unit();
    if (at < 0.3) this.#append();
    else if (at < 0.55) writer.turn();
    else if (at < 0.75) {
      if (!this.#calm && dice.chance(0.1 * faults.troubles)) this.#stall();
      else if (scheduler.isIdle || dice.chance(0.2)) await scheduler.pass(dice.pick([1, 5, 20, 200]));
      else scheduler.next();
    } else if (at < 0.8) this.#flush();
    else if (at < 0.82) void writer.duty.sync();
    else if (at < 0.85) this.#newAppender();
    else if (at < 0.86) this.#leave();
    else if (at < 0.875) await this.#read('meanwhile');
    else if (at < 0.9) for (const inode of this.#world.storage.files.values()) inode.writeBack(this.#world.dice);
    else if (at < 0.96) {
      if (!this.#calm && dice.chance(faults.troubles)) this.#trouble();
    } else if (at < 0.97) {
      if (dice.chance(faults.clockJumps)) this.#world.jumpClock(BigInt(dice.between(-10_000, 10_000)) * 1_000_000n);
    } else this.#heal();
    await scheduler.quiet();
    if (this.#stopped !== null) throw this.#stopped;
    if (writer.failure !== null && !writer.process.dead) {
      this.#judge(writer.failure, 'the flusher', []);
      // What a program does then.
      await this.#close();
    }
  }

  // ---- appending ----

  #newAppender(): void {
    const writer = this.#writer!;
    if (writer.process.dead || this.#live.length >= 3) return;
    try {
      const { appender, at } = writer.appender();
      const producer = this.#model.newProducer();
      this.#world.trace('appender', producer.id, at);
      const view = new DataView(writer.session.journal.memory.buffer);
      this.#live.push({ producer, append: appender.append, at, close: () => appender.close(), view });
    } catch (error) {
      this.#judge(error, 'a new appender', ['NO_LANE']);
    }
  }

  #leave(): void {
    const leaving = this.#live.splice(this.#dice.below(this.#live.length + 1), 1)[0];
    if (leaving === undefined) return;
    this.#world.trace('leaves', leaving.producer.id);
    leaving.close();
    this.#left.push(leaving);
  }

  readonly #left: LiveProducer[] = [];

  #append(): void {
    if (this.#live.length === 0) {
      this.#newAppender();
      return;
    }
    const live = this.#dice.pick(this.#live);
    const { producer } = live;
    const count = this.#dice.between(1, this.#plan.batch);
    for (let i = 0; i < count; i++) if (!this.#appendOne(live)) break;
    this.#world.trace('appended', producer.id, producer.returned);
  }

  #appendOne({ producer, append }: LiveProducer): boolean {
    const n = producer.attempted;
    const { symbol, price, note } = contentOf(producer.id, n, this.#plan.shape);
    const now = this.#writer!.process.nowNs();
    const ts = this.#dice.chance(0.1) ? now - BigInt(this.#dice.below(5_000_000)) : now;
    producer.times[n] = ts;
    producer.attempted++;
    try {
      const position = append(ts, symbol, price, producer.id, n, note);
      if (position < 0) producer.attempted--;
      else {
        producer.positions.push(position);
        producer.returned++;
        if (this.#plan.mapped) producer.kept = producer.returned;
      }
      return position >= 0;
    } catch (error) {
      producer.attempted--;
      this.#judge(error, 'append', ['FULL', 'FLUSHER_FAILED', 'CLOSED']);
      return false;
    }
  }

  /** A producer is killed within an append: its record lies in the ring, in whole or in part, and was never published. */
  #dieInAppend(): void {
    const live = this.#live[0];
    if (live === undefined) return;
    const { producer, at, view } = live;
    const before = Array.from({ length: 4096 / 8 }, (_, i) => view.getBigUint64(at + 8 * i, true));
    const { returned } = producer;
    if (!this.#appendOne(live)) return;
    const position = producer.positions.pop()!;
    producer.returned = returned;
    producer.kept = Math.min(producer.kept, returned);
    for (const [i, word] of before.entries()) view.setBigUint64(at + 8 * i, word, true);
    const capacity = 61_440;
    const record = at + 4096 + (position % capacity);
    const size = view.getUint32(record + 8, true);
    const from = this.#dice.below(size / 8 + 1);
    if (this.#dice.chance(0.7)) for (let i = from; i < size / 8; i++) view.setBigUint64(record + 8 * i, 0n, true);
    this.#world.count('death within an append');
  }

  /** How many of the producer's records lie before the position. */
  #before(producer: Producer, position: number): number {
    const { positions } = producer;
    let count = positions.length;
    while (count > 0 && positions[count - 1] >= position) count--;
    return count;
  }

  #everyLive(): LiveProducer[] {
    return [...this.#live, ...this.#left];
  }

  #flush(): void {
    const writer = this.#writer!;
    const { durability } = this.#plan.options;
    const appended = this.#everyLive().map(({ producer }) => ({ producer, returned: producer.returned }));
    this.#world.trace('flush');
    writer.flush().then(
      ({ leastCopies }) => {
        if (writer.process.dead) return;
        this.#world.trace('flushed', leastCopies);
        this.#checkCopies(leastCopies, 'flush');
        this.#endSoon();
        for (const { producer, returned } of appended) {
          producer.flushed = Math.max(producer.flushed, returned);
          if (durability === 'disk') producer.durable = Math.max(producer.durable, returned);
        }
      },
      (error) => {
        if (!writer.process.dead) this.#judgeLater(error, 'flush');
      },
    );
    writer.turn();
  }

  /** Of the records that are on their storage nodes when a background sync begins, all are on the disks when it is done. */
  #watchSyncs(writer: Writer): void {
    writer.duty.onPersist = () => {
      for (const { producer } of this.#everyLive()) producer.kept = Math.max(producer.kept, producer.returned);
    };
    writer.duty.onSync = () => {
      const heads = this.#everyLive().map(({ producer, at }) => ({
        producer,
        stored: this.#before(producer, writer.head(at)),
      }));
      return () => {
        if (writer.process.dead) return;
        this.#world.trace('synced');
        this.#endSoon();
        for (const { producer, stored } of heads) producer.durable = Math.max(producer.durable, stored);
      };
    };
  }

  // ---- opening and closing ----

  /** Opens the tape, whatever it takes, and checks what recovery made of it. */
  async #open(mayDie: boolean): Promise<void> {
    const { faults } = this.#plan;
    const dice = this.#dice;
    let killed = 0;
    for (let tries = 0; ; tries++) {
      if (tries > 12) this.#stop('the tape can not be opened');
      const process = this.#process('writer');
      if (mayDie && killed < MOST_KILLED_OPENS && dice.chance(0.3 * Math.max(faults.deaths, faults.powerCuts))) {
        const kind = dice.chance(faults.powerCuts / (faults.deaths + faults.powerCuts)) ? 'power cut' : 'death';
        process.fate = { kind, operation: dice.between(1, dice.pick([30, 150])) };
      }
      const { errors } = this.#world;
      this.#world.trace('open', process.label);
      try {
        const writer = await this.#world.scheduler.until(Writer.open(process, this.#plan.options, dice), 'open');
        process.fate = null;
        this.#errorsBefore = errors;
        this.#writer = writer;
        this.#watchSyncs(writer);
        break;
      } catch (error) {
        this.#operations += process.operations;
        if (process.dead) {
          killed++;
          this.#world.count('recovery killed');
          if (process.fate?.kind === 'power cut') this.#cut();
          continue;
        }
        this.#judge(error, 'open', [], errors);
        this.#heal();
        this.#world.end(process, 'death');
      }
    }
    this.#heal();
    this.#opened = true;
    // Unless the check says better.
    this.#thin ||= this.#troubled;
    this.#troubled = false;
    await this.#check('after recovery');
  }

  async #close(): Promise<void> {
    const writer = this.#writer!;
    this.#world.trace('close');
    const closing = writer.close().then(({ leastCopies }) => this.#checkCopies(leastCopies, 'close'));
    closing.catch(() => {});
    try {
      await this.#untilClosed(closing);
      this.#world.trace('closed');
      for (const { producer } of this.#everyLive()) {
        producer.flushed = producer.returned;
        producer.kept = producer.returned;
        producer.durable = producer.returned;
      }
      this.#closed = true;
    } catch (error) {
      if (writer.process.dead) return;
      this.#judge(error, 'close', []);
      this.#world.end(writer.process, 'death');
    }
  }

  #closed = false;

  /** Now that something was promised. */
  #endSoon(): void {
    const { process } = this.#writer!;
    if (process.fate !== null && this.#dice.chance(0.1)) {
      process.fate = { ...process.fate, operation: process.operations + this.#dice.between(1, 3) };
    }
  }

  #checkCopies(leastCopies: number, what: string): void {
    const { degraded, redundancy } = this.#plan.options;
    if (leastCopies < redundancy) this.#thin = true;
    if (leastCopies < 1 || (degraded === 'stop' && leastCopies < redundancy)) {
      this.#model.violation(`${what}: a block is on ${leastCopies} storage nodes, of ${redundancy}`);
    }
  }

  async #untilClosed(closing: Promise<void>): Promise<void> {
    const { scheduler } = this.#world;
    let settled = false;
    const settle = () => {
      settled = true;
    };
    closing.then(settle, settle);
    for (let steps = 0; !settled; steps++) {
      // A disk that hangs for ever has it wait for ever.
      if (steps === PATIENT_STEPS) this.#heal();
      if (steps > 2 * PATIENT_STEPS) throw new Hang('close never ends');
      await scheduler.quiet();
      if (settled) break;
      if (scheduler.isIdle) await scheduler.pass(10);
      else scheduler.next();
      await scheduler.quiet();
    }
    await closing;
  }

  /** The session is over: its process is dead, or it closed the tape. */
  async #over(): Promise<void> {
    const { process } = this.#writer!;
    const wasCut = process.dead && this.#world.lastEnd === 'power cut';
    if (!process.dead) this.#world.end(process, 'exit');
    this.#operations += process.operations;
    await this.#world.scheduler.quiet();
    if (this.#stopped !== null) throw this.#stopped;
    this.#heal();
    if (wasCut) this.#cut();
    else if (this.#closed) await this.#check('after close');
    else if (this.#dice.chance(0.3)) await this.#read('after the crash');
    this.#calm = false;
    this.#world.misdirect = null;
    this.#live = [];
    this.#left.length = 0;
    this.#closed = false;
    this.#writer = null;
  }

  #wasCut = false;

  #cut(): void {
    this.#wasCut = true;
    this.#model.powerCut();
  }

  // ---- reading and checking ----

  async #reader<T>(when: string, use: (reader: Reader) => Promise<T>): Promise<T | undefined> {
    const process = this.#process('reader');
    const { errors } = this.#world;
    try {
      return await this.#world.scheduler.until(
        (async () => {
          const reader = await openReader(process, this.#plan.options);
          if (reader === null) throw new TapeError('NOT_FOUND', 'no tape there');
          try {
            return await use(reader);
          } finally {
            reader.blocks.close();
          }
        })(),
        when,
      );
    } catch (error) {
      this.#judge(error, when, [], errors);
      return undefined;
    } finally {
      this.#world.end(process, 'exit');
    }
  }

  /** By a process beside the writer. */
  async #read(when: string): Promise<void> {
    this.#world.trace('read', when);
    const { errors } = this.#world;
    const found = await this.#reader(`reading ${when}`, ({ blocks, mark }) => this.#model.read(blocks.scan({}), mark));
    // What is on a disk that is away is not seen.
    if (found !== undefined && this.#world.errors === errors) this.#model.checkLive(found, when);
  }

  async #check(when: string): Promise<void> {
    this.#world.trace('check', when);
    // It takes longer than all else.
    const verifies = when === 'after repair' || this.#dice.chance(0.5);
    const checked = await this.#reader(`checking ${when}`, async ({ blocks, mark, verify }) => ({
      found: await this.#model.read(blocks.scan({}), mark),
      verdict: verifies ? await verify() : null,
    }));
    if (checked === undefined) throw new Stop();
    this.#model.checkRecovered(checked.found, when);
    if (checked.verdict !== null) this.#checkVerdict(checked.verdict, when);
  }

  #checkVerdict({ damaged, missing, underReplicated }: Verdict, when: string): void {
    for (const { block, path, offset, reason } of damaged) {
      if (this.#isDamaged(path)) continue;
      this.#model.violation(
        `${when}: the copy of block ${block} in ${path} at ${offset} is damaged (${reason}), and nobody did that`,
      );
    }
    for (const { from, to } of missing) this.#model.violation(`${when}: sequences ${from} to ${to} are missing`);
    const { degraded } = this.#plan.options;
    const mayBeThin = this.#wasCut || (degraded === 'continue' && this.#world.errors > 0);
    const explained = this.#damaged.size > 0 || (mayBeThin && when !== 'after repair');
    this.#thin = underReplicated > 0;
    if (underReplicated > 0 && !explained) {
      this.#model.violation(`${when}: ${underReplicated} blocks have too few copies`);
    }
  }

  /** The same of what is not waited for. */
  #judgeLater(error: unknown, what: string): void {
    try {
      this.#judge(error, what, []);
    } catch (stop) {
      this.#stopped ??= stop as Error;
    }
  }

  #stopped: Error | null = null;

  #isDamaged(file: string): boolean {
    return [...this.#damaged].some((directory) => file === directory || file.startsWith(`${directory}/`));
  }

  /** Whether the error is one that what was done to it explains. `errors`: those that the storage had answered with before. */
  #judge(error: unknown, what: string, expected: string[], errors = this.#errorsBefore): void {
    if (isDeath(error)) return;
    if (error instanceof Stop) throw error;
    if (error instanceof Hang) this.#stop(error.message);
    if (!(error instanceof TapeError)) this.#stop(`${what}: ${describe(error)}`);
    this.#world.trace(what, error.code);
    if (expected.includes(error.code)) return;
    const explained = [
      'IO',
      'DISK_FULL',
      'NOT_WRITABLE',
      'NOT_FOUND',
      'STORAGE_MISSING',
      'FLUSHER_FAILED',
      'BLOCK_MISSING',
      'BLOCK_DAMAGED',
    ];
    if (explained.includes(error.code) && this.#world.errors > errors) return;
    this.#stop(`${what}: ${error.code}: ${error.message}`);
  }

  // ---- faults ----

  /** The writer's process gets no time. */
  #stall(): void {
    this.#world.trace('stall');
    this.#world.count('stalled process');
    this.#world.errors++;
    this.#troubled = true;
    this.#world.scheduler.stall(this.#dice.pick([50, 500, 20_000]));
  }

  /** In this session. */
  #troubled = false;

  #trouble(): void {
    this.#troubled = true;
    const { storage } = this.#world;
    const disk = this.#dice.pick(storage.disks);
    const { trouble } = disk;
    const kind = this.#dice.below(5);
    this.#world.trace('trouble', disk.root, kind);
    if (kind === 0) trouble.full = true;
    else if (kind === 1) trouble.failing = this.#dice.between(1, 4);
    else if (kind === 2) trouble.away = true;
    else if (kind === 3) trouble.slowMs = 500;
    else trouble.hanging = 1;
  }

  #heal(): void {
    this.#world.heal();
  }

  /** Something that lasts, to one storage node. */
  #damage(): void {
    const { storage, redundancy, journal, lostStorageNodes } = this.#plan.options;
    if (this.#thin || this.#troubled) return;
    const dice = this.#dice;
    const full = this.#damaged.size >= redundancy - 1;
    const directory = dice.pick(storage.filter((node) => !full || this.#damaged.has(node)));
    if (directory === undefined) return;
    const disk = this.#world.storage.diskOf(directory);
    const kind = dice.below(6);
    if (kind === 0 && this.#writer !== null) {
      this.#world.misdirect = disk;
      this.#calm = true;
    } else if (kind === 1 && this.#writer !== null && this.#plan.faults.powerCuts > 0) {
      disk.isLying = true;
      this.#calm = true;
    } else if (
      kind === 2 &&
      this.#writer === null &&
      this.#opened &&
      (journal !== undefined || directory !== storage[0])
    ) {
      this.#world.storage.wipe(directory);
      this.#world.count('storage node lost for good');
      if (!lostStorageNodes.includes(directory)) this.#plan.options.lostStorageNodes = [...lostStorageNodes, directory];
    } else if (!rot(this.#world, directory, dice)) return;
    this.#world.trace('damage', directory, kind);
    this.#damaged.add(directory);
  }

  /** With a damaged storage node nothing else goes wrong with storage nodes in a session: a block may have its only good copy on another. */
  #calm = false;
  /** There is a tape. */
  #opened = false;

  /** By a process of its own, which may die at it, again and again. Answers whether all blocks have their copies then. */
  async #repair(mayDie: boolean): Promise<boolean> {
    const { options, faults } = this.#plan;
    const dice = this.#dice;
    const { scheduler } = this.#world;
    const process = this.#process('repair');
    if (mayDie && dice.chance(0.4)) {
      // The machine goes only with nobody else on it.
      const kind = this.#writer === null && dice.chance(faults.powerCuts) ? 'power cut' : 'death';
      process.fate = { kind, operation: dice.between(1, dice.pick([30, 150])) };
    }
    const { errors, misdirect } = this.#world;
    const { storage, journal, redundancy } = options;
    this.#world.trace('repair', process.label);
    try {
      const { stillUnderReplicated, left, lost, troubles, missing } = await scheduler.until(
        repairTapeOn(process, { storage, journal, redundancy }),
        'repair',
      );
      // It takes the errors of its own death for those of the storage.
      if (process.dead) throw new ProcessDied();
      this.#world.trace('repaired', stillUnderReplicated, left, lost, troubles.length);
      if (this.#world.errors > errors) return false;
      // A write of its own may be misdirected.
      for (const { path, message } of troubles) if (!this.#isDamaged(path)) this.#model.violation(`repair: ${message}`);
      if (lost > 0) this.#model.violation(`repair: ${lost} blocks are lost`);
      for (const { from, to } of missing) this.#model.violation(`repair: sequences ${from} to ${to} are missing`);
      const isWhole = stillUnderReplicated === 0 && left === 0 && troubles.length === 0;
      // One that strikes what it has looked at already it does not see.
      if (isWhole) this.#whole(misdirect);
      return isWhole;
    } catch (error) {
      if (process.dead) {
        this.#world.count('repair killed');
        if (process.fate?.kind === 'power cut') this.#cut();
        return false;
      }
      this.#judge(error, 'repair', [], errors);
      return false;
    } finally {
      this.#world.end(process, 'exit');
    }
  }

  /** Every block is on R storage nodes: they may be damaged anew. */
  #whole(misdirected: Disk | null): void {
    for (const directory of this.#damaged) {
      const disk = this.#world.storage.diskOf(directory);
      // What is still to come is not mended.
      if (!disk.isLying && misdirected !== disk) this.#damaged.delete(directory);
    }
    this.#thin = false;
  }

  /** Everything is well again, and must be so. */
  async #end(): Promise<void> {
    this.#world.trace('end');
    this.#heal();
    await this.#open(false);
    await this.#close();
    await this.#over();
    while (!(await this.#repair(this.#dice.chance(0.5)))) {
      this.#heal();
      if (++this.#repairs > MOST_REPAIRS) this.#stop('repairs do not restore all copies');
    }
    this.#wasCut = false;
    this.#errorsBefore = this.#world.errors;
    await this.#check('after repair');
  }

  #repairs = 0;
}

/** The seed is over. */
class Stop extends Error {}

function isDeath(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof ProcessDied) return true;
  return false;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 6).join(' | ') : String(error);
}
