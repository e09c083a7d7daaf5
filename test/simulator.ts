// A deterministic simulator: the journal, the appenders, the flusher, the replicator, storage nodes, segments, the catalog, recovery and
// scans themselves, on a simulated storage and clock. Everything follows from a seed.
//
// What may fail, and what holds then:
//
//   process death      of the writer, a repair or both, between any two operations on the storage, within a write (any first part of it is
//                      done), or within an append. All whose append has returned is on the tape after recovery (in a buffered journal: what was
//                      written to its files); a record within whose append it died may be there or not. Recovery and repairs may die too, any
//                      number of times.
//   power cut          of the whole machine: of each page of 4 KiB any version since the last sync of its file, now and then sectors of two of
//                      them; of a file's length any since then; of the names in a directory any first changes since its last sync, or any at all,
//                      and with a directory that was made all that is in it. (Writes are thereby reordered and lost.) What was synced stays: what a
//                      flush() said under durability 'disk', what close() was done with, what was recovered, and what a background sync was done
//                      with, where no sync failed before in its session. Under 'process' the rest may be gone; never is a record invented,
//                      changed or twice, and the tape can be read and written. What a lane had, and the storage nodes had not, may come behind
//                      later records of its lane then.
//   troubles that pass ENOSPC (after a part of the write was done), EIO, a storage node or the journal's disk away, slow, or hanging, a process that
//                      stands still: on any number of disks at once. Errors are TapeErrors that these explain, and all that was appended is there
//                      when they have passed.
//   lasting damage     bit rot in headers, blocks and footers, misdirected writes, disks that lie about syncs, storage nodes lost for good: of
//                      redundancy - 1 storage nodes at most until a repair. Nothing is lost, and verify() tells of damage where it was done and
//                      nowhere else.
//   clock jumps        of the wall clock, in both directions.
//
// And always: readers beside the writer see of each lane a first part, in order, with all that was flushed, and at a sequence never one record and
// later another; a session that is over and recovered never changes again, but for what retention drops, which comes before its mark, is old
// enough and never comes back; at the end a repair leaves each block on R storage nodes; everything ends.
//
// This file is the process that runs seeds: it says on stdout what comes of them, a line of JSON each time.
import { writeSync } from 'node:fs';
import process from 'node:process';
import { Scenario } from './simulator/scenario.js';

/** What the process is told: seeds `from`, `from + step`, … up to `to`. */
interface Task {
  from: number;
  to: number;
  step: number;
  /** Print everything that happens. */
  verbose: boolean;
  /** A violation ends it. */
  stop: boolean;
}

const SAY_EVERY_MS = 200;

function say(message: object): void {
  const line = new TextEncoder().encode(`${JSON.stringify(message)}\n`);
  for (let at = 0; at < line.length; ) {
    try {
      at += writeSync(1, line.subarray(at));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

const { from, to, step, verbose, stop } = JSON.parse(process.argv[2]) as Task;
let seed = from;
let strays: string[] = [];
process.on('unhandledRejection', (error) => {
  strays.push(`unhandled rejection: ${(error as Error)?.stack}`);
});

const emptyReport = () => ({ seeds: 0, operations: 0, records: 0, traceHash: 0, faults: {} as Record<string, number> });
let report = emptyReport();
let saidMs = 0;
function sayProgress(): void {
  say({ at: seed, ...report });
  report = emptyReport();
  saidMs = performance.now();
}

say({ pid: process.pid });
sayProgress();
for (; seed < to; seed += step) {
  strays = [];
  const outcome = await new Scenario(seed, verbose ? (line) => say({ trace: line }) : null).run();
  report.seeds++;
  report.operations += outcome.operations;
  report.records += outcome.records;
  report.traceHash = (report.traceHash + outcome.traceHash) >>> 0;
  for (const [fault, times] of Object.entries(outcome.faults)) {
    report.faults[fault] = (report.faults[fault] ?? 0) + times;
  }
  const violations = [...outcome.violations, ...strays];
  if (violations.length > 0) say({ failure: { seed, violations } });
  if (verbose) say({ trace: `trace hash ${outcome.traceHash.toString(16)}` });
  if (performance.now() - saidMs > SAY_EVERY_MS) sayProgress();
  if (violations.length > 0 && stop) break;
}
sayProgress();
say({ done: true });
