import { Dice } from './dice.js';
import type { SimulatedProcess } from './process.js';
import { Scheduler } from './scheduler.js';
import { type Disk, type Inode, Storage, type SyncMark, systemError } from './storage.js';

/** Also while it has its first name. */
const isSegment = (file: string) => file.includes('.ttseg');

/** All that is simulated of one machine, and what has happened on it. */
export class World {
  readonly scheduler = new Scheduler();
  readonly storage: Storage;
  /** Of what the machine does; others choose what the program does. */
  readonly dice: Dice;
  readonly locks = new Map<string, SimulatedProcess>();
  /** How often what happened, by kind. */
  readonly faults: Record<string, number> = {};
  /** Errors that the storage answered with, and operations that took too long. */
  errors = 0;
  /** Of these, syncs. */
  failedSyncs = 0;
  /** The next write goes somewhere else on its disk. */
  misdirect: Disk | null = null;
  /** Of everything that happened, in order. */
  traceHash = 0x811c9dc5;
  onTrace: ((line: string) => void) | null = null;
  readonly #processes = new Set<SimulatedProcess>();
  readonly #onEnd = new Map<SimulatedProcess, Set<() => void>>();
  /** What ends only when its disk is well. */
  readonly #hung: (() => void)[] = [];
  #wallNs = 1_700_000_000_000_000_000n;

  constructor(seed: number, disks: Disk[], keeps: boolean) {
    this.dice = new Dice(seed, 1);
    this.storage = new Storage(disks, keeps);
  }

  count(fault: string, times = 1): void {
    this.faults[fault] = (this.faults[fault] ?? 0) + times;
  }

  trace(...parts: (string | number)[]): void {
    const line = parts.join(' ');
    let hash = this.traceHash;
    for (let i = 0; i < line.length; i++) hash = Math.imul(hash ^ line.charCodeAt(i), 0x01000193);
    this.traceHash = Math.imul(hash ^ 10, 0x01000193);
    this.onTrace?.(`${this.scheduler.nowMs.toFixed(2).padStart(10)} ${line}`);
  }

  wallNs(): bigint {
    return this.#wallNs + BigInt(Math.floor(this.scheduler.nowMs * 1e6));
  }

  jumpClock(ns: bigint): void {
    this.#wallNs += ns;
    this.count('clock jump');
  }

  start(process: SimulatedProcess): void {
    this.#processes.add(process);
  }

  /** Called when the process dies, after which it has no effect any more. Answers what calls it off. */
  onEnd(process: SimulatedProcess, run: () => void): () => void {
    const all = this.#onEnd.get(process) ?? new Set();
    this.#onEnd.set(process, all);
    all.add(run);
    return () => all.delete(run);
  }

  /** How the process that ended last did. */
  lastEnd: 'exit' | 'death' | 'power cut' = 'exit';

  end(process: SimulatedProcess, kind: 'exit' | 'death' | 'power cut'): void {
    if (process.dead) return;
    this.lastEnd = kind;
    this.trace(process.label, kind, process.operations);
    if (kind !== 'exit') this.count(kind === 'death' ? 'process death' : kind);
    if (kind !== 'power cut') {
      this.#die(process);
      return;
    }
    for (const running of this.#processes) this.#die(running);
    this.scheduler.clear();
    this.#hung.length = 0;
    this.storage.powerCut(this.dice);
    for (const disk of this.storage.disks) disk.isLying = false;
  }

  #die(process: SimulatedProcess): void {
    if (process.dead) return;
    process.dead = true;
    for (const inode of process.mapped.keys()) {
      inode.pull();
      inode.window = null;
    }
    process.mapped.clear();
    for (const run of this.#onEnd.get(process) ?? []) run();
    this.#onEnd.delete(process);
    this.#processes.delete(process);
  }

  /** Every disk is well again; what hung goes on. */
  heal(): void {
    for (const disk of this.storage.disks) disk.heal();
    for (const run of this.#hung.splice(0)) this.scheduler.after(this.dice.unit(), run);
  }

  inode(file: string, call: string): Inode {
    const inode = this.storage.find(file);
    if (inode === undefined) throw systemError('ENOENT', call, file);
    return inode;
  }

  fail(code: string, call: string, file: string): Error {
    this.errors++;
    if (call.startsWith('fsync')) this.failedSyncs++;
    return systemError(code, call, file);
  }

  checkRoom(file: string, call: string): void {
    if (!this.storage.diskOf(file).trouble.full) return;
    this.count('ENOSPC');
    throw this.fail('ENOSPC', call, file);
  }

  write(file: string, inode: Inode, from: Uint8Array, at: number): void {
    if (this.misdirect === inode.disk && isSegment(file)) {
      const target = this.#elsewhere(inode);
      if (target !== null) {
        this.misdirect = null;
        this.count('misdirected write');
        this.trace('disk', `misdirected ${file}`, target.at);
        // What was to be written is not where it should be, but for the length.
        if (at + from.length > inode.size) inode.write(new Uint8Array(from.length), at);
        const bytes = from.slice(0, Math.max(0, Math.min(from.length, target.inode.size - target.at)));
        if (bytes.length > 0)
          target.inode.damage(target.at, bytes.length, (there) => there.set(bytes.subarray(0, there.length)));
        return;
      }
    }
    inode.write(from, at);
  }

  /** Another place in a segment of the same disk. */
  #elsewhere(inode: Inode): { inode: Inode; at: number } | null {
    const candidates = [...this.storage.files]
      .filter(([name, found]) => found.disk === inode.disk && name.endsWith('.ttseg') && found.size > 8192)
      .map(([, found]) => found);
    if (candidates.length === 0) return null;
    const target = this.dice.pick(candidates);
    return { inode: target, at: 8 * this.dice.below(target.size >> 3) };
  }

  sync(file: string, inode: Inode, mark?: SyncMark): void {
    if (inode.disk.isLying && isSegment(file)) this.count('sync that a disk only said it did');
    else inode.sync(mark);
  }

  /** Has an operation on the file end later: mostly soon. */
  later(file: string, run: () => void): void {
    const { trouble } = this.storage.diskOf(file);
    if (trouble.hanging > 0) {
      trouble.hanging--;
      this.count('hung operation');
      this.errors++;
      if (this.dice.chance(0.5)) this.#hung.push(run);
      else this.scheduler.after(this.dice.between(2_000, 100_000), run);
      return;
    }
    if (trouble.slowMs > 10) {
      this.count('slow operation');
      this.errors++;
    }
    this.scheduler.after(this.dice.unit() * trouble.slowMs, run);
  }
}
