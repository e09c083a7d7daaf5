// Disks, as they are when processes die and when the power fails.
//
// A file has what everybody sees (the page cache; it survives processes) and, of each page of 4 KiB, the versions that its disk may hold:
// the last synced one and each one since. A power cut keeps any of them, page by page, now and then with sectors of 512 bytes of two of them; of
// the file's length any that it had since; of the names in a directory that were not synced any first ones, or any at all.
import { Buffer } from 'node:buffer';
import path from 'node:path';
import type { Dice } from './dice.js';

export const PAGE = 4096;
export const SECTOR = 512;
/** Versions of a page that are kept besides the synced one and the present one. */
const MOST_VERSIONS = 6;

/** What a disk does wrong at present. */
export interface DiskTrouble {
  /** Writes that need room fail, after a part of them was done. */
  full: boolean;
  /** So many of the next operations fail. */
  failing: number;
  /** Nothing is there. */
  away: boolean;
  /** Milliseconds that an asynchronous operation takes at most. */
  slowMs: number;
  /** So many of the next asynchronous operations take very long, or for ever. */
  hanging: number;
}

/** A disk with the directories under `root`. */
export class Disk {
  readonly root: string;
  /** It says that it has synced segments, and has not: until the next power cut. */
  isLying = false;
  readonly trouble: DiskTrouble = { full: false, failing: 0, away: false, slowMs: 2, hanging: 0 };

  constructor(root: string) {
    this.root = root;
  }

  heal(): void {
    Object.assign(this.trouble, { full: false, failing: 0, away: false, slowMs: 2, hanging: 0 });
  }
}

/** A window of a memory that a file is mapped over. */
export interface Window {
  bytes: Uint8Array;
  fileOffset: number;
}

/** A page, or a length, as it was once. */
interface Version<T> {
  /** Grows with each. */
  id: number;
  value: T;
}

/** What a sync that begins at some moment will have put on the disk when it ends. */
export interface SyncMark {
  pages: Map<number, Version<Uint8Array>>;
  size: Version<number>;
}

/** A file, whatever its name. */
export class Inode {
  readonly id: number;
  readonly disk: Disk;
  /** Where it is mapped to be written. */
  window: Window | null = null;
  #bytes = new Uint8Array(0);
  #size = 0;
  #synced = new Uint8Array(0);
  #syncedSize: Version<number> = { id: 0, value: 0 };
  #nextVersion = 1;
  /** Of the pages that were synced. */
  readonly #syncedIds = new Map<number, number>();
  /** Since the last sync. */
  #sizes: Version<number>[] = [];
  readonly #versions = new Map<number, Version<Uint8Array>[]>();
  readonly #keeps: boolean;

  /** `keeps`: versions of pages; there is no power cut without them. */
  constructor(id: number, disk: Disk, keeps: boolean) {
    this.id = id;
    this.disk = disk;
    this.#keeps = keeps;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether there is anything that a power cut could take. */
  get isDirty(): boolean {
    this.pull();
    return this.#sizes.length > 0 || this.#versions.size > 0;
  }

  /** All of it as it is now; not to be changed. */
  content(): Uint8Array {
    this.pull();
    return this.#bytes.subarray(0, this.#size);
  }

  read(into: Uint8Array, at: number): number {
    this.pull();
    const length = Math.max(0, Math.min(into.length, this.#size - at));
    into.set(this.#bytes.subarray(at, at + length));
    return length;
  }

  write(from: Uint8Array, at: number): void {
    if (from.length === 0) return;
    this.#store(from, at);
    const { window } = this;
    if (window === null) return;
    const start = Math.max(at, window.fileOffset);
    const end = Math.min(at + from.length, window.fileOffset + window.bytes.length);
    if (start < end) window.bytes.set(from.subarray(start - at, end - at), start - window.fileOffset);
  }

  #store(from: Uint8Array, at: number): void {
    this.#reserve(at + from.length);
    this.#bytes.set(from, at);
    if (at + from.length > this.#size) this.#resize(at + from.length);
    this.#touch(at, at + from.length);
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.ceil(Math.max(bytes, 1.5 * this.#bytes.length) / PAGE) * PAGE);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }

  #resize(bytes: number): void {
    this.#size = bytes;
    if (this.#keeps) this.#sizes.push({ id: this.#nextVersion++, value: bytes });
  }

  /** The pages of these bytes have a version more. */
  #touch(from: number, to: number): void {
    if (!this.#keeps) return;
    for (let page = Math.floor(from / PAGE); page * PAGE < to; page++) {
      const versions = this.#versions.get(page) ?? [];
      if (versions.length > MOST_VERSIONS) versions.splice(versions.length >> 1, 1);
      versions.push({ id: this.#nextVersion++, value: this.#bytes.slice(page * PAGE, (page + 1) * PAGE) });
      this.#versions.set(page, versions);
    }
  }

  truncate(bytes: number): void {
    if (bytes === this.#size) return;
    const before = this.#size;
    this.#reserve(bytes);
    this.#resize(bytes);
    if (bytes < before) {
      this.#bytes.fill(0, bytes, before);
      this.#touch(bytes, before);
    }
  }

  /** Takes in what was stored into the window, as versions of its pages. */
  pull(): void {
    const { window } = this;
    if (window === null) return;
    for (let at = 0; at < window.bytes.length; at += PAGE) this.#pullPage(window, at);
  }

  #pullPage(window: Window, at: number): void {
    const mapped = window.bytes.subarray(at, at + PAGE);
    const from = window.fileOffset + at;
    const known = this.#bytes.subarray(from, from + mapped.length);
    if (Buffer.compare(mapped, known) !== 0) this.#store(mapped.slice(), from);
  }

  /** The system writes some of what was stored into the window to the disk, as it does now and then. */
  writeBack(dice: Dice): void {
    const { window } = this;
    if (window === null) return;
    for (let at = 0; at < window.bytes.length; at += PAGE) if (dice.chance(0.5)) this.#pullPage(window, at);
  }

  /** What a sync that begins now will have put on the disk when it ends. */
  mark(): SyncMark {
    this.pull();
    const pages = new Map<number, Version<Uint8Array>>();
    for (const [page, versions] of this.#versions) pages.set(page, versions[versions.length - 1]);
    return { pages, size: this.#sizes[this.#sizes.length - 1] ?? this.#syncedSize };
  }

  /** What was written is on the disk. */
  sync({ pages, size }: SyncMark = this.mark()): void {
    if (!this.#keeps) return;
    if (this.#synced.length < this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length);
      grown.set(this.#synced);
      this.#synced = grown;
    }
    for (const [page, { id, value }] of pages) {
      // Another sync that began later may have ended before.
      if (id <= (this.#syncedIds.get(page) ?? 0)) continue;
      this.#synced.set(value, page * PAGE);
      this.#syncedIds.set(page, id);
      const later = this.#versions.get(page)!.filter((version) => version.id > id);
      if (later.length === 0) this.#versions.delete(page);
      else this.#versions.set(page, later);
    }
    if (size.id <= this.#syncedSize.id) return;
    this.#syncedSize = size;
    this.#sizes = this.#sizes.filter(({ id }) => id > size.id);
  }

  /** Leaves what the disk has. */
  powerCut(dice: Dice): void {
    this.pull();
    this.window = null;
    const sizes = [this.#syncedSize, ...this.#sizes].map(({ value }) => value);
    // The last one often: a file system that has the pages mostly has the length.
    this.#size = dice.chance(0.5) ? sizes[sizes.length - 1] : dice.pick(sizes);
    const bytes = new Uint8Array(Math.ceil(Math.max(this.#size, this.#synced.length) / PAGE) * PAGE);
    bytes.set(this.#synced);
    // All of the newest, or all of the oldest, or each as it comes.
    const newest = dice.pick([0, 0.5, 0.5, 0.9, 1]);
    for (const [page, versions] of this.#versions) {
      if ((page + 1) * PAGE > bytes.length) continue;
      const synced = bytes.slice(page * PAGE, (page + 1) * PAGE);
      const choices = [synced, ...versions.map(({ value }) => value)];
      const kept = dice.chance(newest) ? choices[choices.length - 1] : dice.pick(choices);
      bytes.set(kept, page * PAGE);
      if (!dice.chance(0.1)) continue;
      // Torn between two.
      const other = dice.pick(choices);
      for (let at = 0; at < PAGE; at += SECTOR) {
        if (dice.chance(0.5)) bytes.set(other.subarray(at, at + SECTOR), page * PAGE + at);
      }
    }
    bytes.fill(0, this.#size);
    this.#bytes = bytes;
    this.#synced = bytes.slice();
    this.#syncedSize = { id: this.#nextVersion++, value: this.#size };
    this.#versions.clear();
    this.#sizes = [];
  }

  /** Changes bytes behind everybody's back, in the page cache and on the disk. */
  damage(at: number, length: number, change: (bytes: Uint8Array) => void): void {
    this.pull();
    for (const bytes of [this.#bytes, this.#synced]) change(bytes.subarray(at, at + length));
    for (const [page, versions] of this.#versions) {
      const from = page * PAGE;
      const start = Math.max(at, from);
      const end = Math.min(at + length, from + PAGE);
      if (start < end) {
        for (const { value } of versions) value.set(this.#bytes.subarray(start, end), start - from);
      }
    }
  }
}

/** A change of names in a directory that was not synced yet. */
interface NameChange {
  set?: { name: string; inode: Inode };
  unset?: string;
  /** One that was made. */
  directory?: string;
}

export const systemError = (code: string, call: string, file: string) =>
  Object.assign(new Error(`${code}: ${call} '${file}'`), { code, syscall: call, path: file });

/** All disks of a machine. */
export class Storage {
  readonly disks: Disk[];
  readonly #keeps: boolean;
  #directories = new Set<string>(['/']);
  #durableDirectories = new Set<string>(['/']);
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  /** By directory. */
  readonly #changes = new Map<string, NameChange[]>();
  #nextInode = 1;

  /** `keeps`: what a power cut needs. */
  constructor(disks: Disk[], keeps: boolean) {
    this.disks = disks;
    this.#keeps = keeps;
    for (const { root } of disks) {
      this.makeDirectory(path.posix.dirname(root));
      this.syncDirectory('/');
    }
  }

  /** The longest root that the path begins with; the first disk has all that is on none. */
  diskOf(file: string): Disk {
    let found = this.disks[0];
    let length = -1;
    for (const disk of this.disks) {
      const { root } = disk;
      if (root.length > length && (file === root || file.startsWith(`${root}/`))) {
        found = disk;
        length = root.length;
      }
    }
    return found;
  }

  find(file: string): Inode | undefined {
    return this.#names.get(file);
  }

  /** Every file by its path. */
  get files(): ReadonlyMap<string, Inode> {
    return this.#names;
  }

  isDirectory(file: string): boolean {
    return this.#directories.has(file);
  }

  list(directory: string): string[] {
    if (!this.#directories.has(directory)) {
      throw systemError(this.#names.has(directory) ? 'ENOTDIR' : 'ENOENT', 'scandir', directory);
    }
    const prefix = directory === '/' ? '/' : `${directory}/`;
    const found: string[] = [];
    for (const name of [...this.#names.keys(), ...this.#directories]) {
      if (name.length > prefix.length && name.startsWith(prefix) && !name.includes('/', prefix.length)) {
        found.push(name.slice(prefix.length));
      }
    }
    return found.sort();
  }

  /** And those above it. */
  makeDirectory(directory: string): void {
    if (this.#names.has(directory)) throw systemError('EEXIST', 'mkdir', directory);
    if (this.#directories.has(directory)) return;
    this.makeDirectory(path.posix.dirname(directory));
    this.#directories.add(directory);
    this.#change(directory, { directory });
  }

  make(file: string): Inode {
    const inode = new Inode(this.#nextInode++, this.diskOf(file), this.#keeps);
    this.#change(file, { set: { name: file, inode } });
    return inode;
  }

  checkParent(file: string, call: string): void {
    if (!this.#directories.has(path.posix.dirname(file))) throw systemError('ENOENT', call, file);
    if (this.#directories.has(file)) throw systemError('EISDIR', call, file);
  }

  rename(from: string, to: string): void {
    const inode = this.#names.get(from);
    if (inode === undefined) throw systemError('ENOENT', 'rename', from);
    this.checkParent(to, 'rename');
    if (from !== to) this.#change(to, { set: { name: to, inode }, unset: from });
  }

  remove(file: string): void {
    if (this.#names.has(file)) this.#change(file, { unset: file });
  }

  #change(file: string, change: NameChange): void {
    apply(change, this.#names);
    if (!this.#keeps) return;
    const directory = path.posix.dirname(file);
    const changes = this.#changes.get(directory);
    if (changes === undefined) this.#changes.set(directory, [change]);
    else changes.push(change);
  }

  syncDirectory(directory: string): void {
    if (!this.#directories.has(directory)) throw systemError('ENOENT', 'fsync', directory);
    for (const change of this.#changes.get(directory) ?? [])
      apply(change, this.#durableNames, this.#durableDirectories);
    this.#changes.delete(directory);
  }

  /** Removes a directory with all that is in it, at once and for good. */
  wipe(root: string): void {
    for (const names of [this.#names, this.#durableNames]) {
      for (const name of [...names.keys()]) if (name.startsWith(`${root}/`)) names.delete(name);
    }
    for (const directories of [this.#directories, this.#durableDirectories]) {
      for (const directory of [...directories]) if (directory.startsWith(`${root}/`)) directories.delete(directory);
    }
    for (const directory of [...this.#changes.keys()]) {
      if (directory === root || directory.startsWith(`${root}/`)) this.#changes.delete(directory);
    }
  }

  /** Leaves what the disks have. No process may be running. */
  powerCut(dice: Dice): void {
    for (const changes of this.#changes.values()) {
      const style = dice.below(4);
      if (style === 0) continue;
      if (style === 1) for (const change of changes) apply(change, this.#durableNames, this.#durableDirectories);
      else if (style === 2)
        for (const change of changes.slice(0, dice.below(changes.length + 1)))
          apply(change, this.#durableNames, this.#durableDirectories);
      else
        for (const change of changes) if (dice.chance(0.5)) apply(change, this.#durableNames, this.#durableDirectories);
    }
    this.#changes.clear();
    // What lies in a directory that is gone is gone.
    for (const directory of [...this.#durableDirectories].sort()) {
      if (!this.#durableDirectories.has(path.posix.dirname(directory))) this.#durableDirectories.delete(directory);
    }
    for (const name of [...this.#durableNames.keys()]) {
      if (!this.#durableDirectories.has(path.posix.dirname(name))) this.#durableNames.delete(name);
    }
    this.#directories = new Set(this.#durableDirectories);
    this.#names = new Map([...this.#durableNames].sort(([a], [b]) => (a < b ? -1 : 1)));
    this.#durableNames = new Map(this.#names);
    for (const inode of new Set(this.#names.values())) inode.powerCut(dice);
  }
}

function apply({ set, unset, directory }: NameChange, names: Map<string, Inode>, directories?: Set<string>): void {
  if (unset !== undefined) names.delete(unset);
  if (set !== undefined) names.set(set.name, set.inode);
  if (directory !== undefined) directories?.add(directory);
}
