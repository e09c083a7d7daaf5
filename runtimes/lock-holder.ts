import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** Who has a lock, as the locked file says: one line of JSON. */
export interface Holder {
  /** `system`: the system's lock counts and this is for reading. `file`: the file itself is the lock. */
  by: 'system' | 'file';
  pid: number;
  host?: string;
  /** With the next one tells a process from a later one of the same number. */
  boot?: string;
  start?: string;
}

export function formatHolder(holder: Holder): string {
  return `${JSON.stringify(holder)}\n`;
}

/** `undefined`: let go of, or no telling. */
export function parseHolder(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder | null;
    return typeof holder?.pid === 'number' && holder.pid > 0 ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** This process, in enough detail for others to tell whether it is still there. */
export function thisProcess(): Holder {
  return { by: 'file', pid: process.pid, host: hostname(), boot: bootId(), start: startOf(process.pid) };
}

/** When in doubt it is: one lock too many asks for a file to be deleted, one too few mixes two writers' records. */
export function isAlive(holder: Holder): boolean {
  try {
    if (holder.host !== undefined && holder.host !== hostname()) return true;
    if (differ(holder.boot, bootId())) return false;
    process.kill(holder.pid, 0);
    return !differ(holder.start, startOf(holder.pid));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function differ(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}

function bootId(): string | undefined {
  return readIfThere('/proc/sys/kernel/random/boot_id')?.trim();
}

/** In clock ticks since the system started. Only Linux tells. */
function startOf(pid: number): string | undefined {
  // The second field, the program's name, may hold blanks and brackets.
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
