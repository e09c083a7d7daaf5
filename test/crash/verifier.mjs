// The process that opens the tape after the victim is gone, and so recovers it, repairs it if it is to, and reads all of it.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { runtime } from 'ticktape/runtime';
import {
  SYMBOL_BYTES,
  SYMBOL_COUNT,
  SYMBOL_HEADER_BYTES,
  SYMBOL_LENGTH,
  SYMBOL_NAME,
} from '../../dist/assembly/layout.js';
import { Catalog } from '../../dist/src/segment/catalog.js';
import { readTapeFile } from '../../dist/src/storage/identity.js';
import { Checker } from './checker.mjs';
import { openReader, openWriter, repair } from './open.mjs';

const task = JSON.parse(process.argv[2]);
const { storage, options } = task;
const journal = task.journal ?? path.join(storage[0], 'journal');
/** What is wrong besides the records. @type {string[]} */
const troubles = [];

console.log(`opening ${process.pid}`);
let tape = await openWriter(task, (message) => troubles.push(message));
console.log('open');
const { recovery } = tape.stats();
if (recovery.damagedBytes > 0) troubles.push(`${recovery.damagedBytes} bytes of lanes hold no whole record`);

let repaired = 0;
if (task.repairer !== null) {
  if (task.repairer === 'alone') await tape.close();
  console.log('repairing');
  const result = await repair(task, tape);
  console.log('repaired');
  repaired = result.copiesMade;
  for (const count of ['lost', 'stillUnderReplicated', 'left', 'mendedInPlace']) {
    if (result[count] !== 0) troubles.push(`repair: ${count} is ${result[count]}`);
  }
  for (const { message } of result.troubles) troubles.push(`repair: ${message}`);
  if (task.repairer === 'alone') tape = await openReader(task);
}

/** Sequences may jump only where a storage node was given up. */
const skipped = task.repairer === null ? [] : (readTapeFile(runtime.files, journal)?.roster?.skipped ?? []);
const checker = new Checker({ ...task, skipped });
for await (const batch of tape.scan()) {
  const { ts, symbol, worker, counter, price, value, note } = batch.columns;
  for (let row = 0; row < batch.length; row++) {
    checker.take({
      sequence: batch.sequence(row),
      ts: ts[row],
      symbol: symbol.at(row),
      worker: worker[row],
      counter: counter[row],
      price: price[row],
      value: value[row],
      note: note?.at(row),
    });
  }
}
const verdict = await tape.verify();
for (const { path: file, offset, reason } of verdict.damaged) troubles.push(`${file} at ${offset}: ${reason}`);
for (const { from, to } of verdict.missing) troubles.push(`no storage node has sequences ${from} to ${to}`);
for (const { path: file, reason } of verdict.damagedSegments) troubles.push(`${file}: ${reason}`);
for (const directory of verdict.missingStorageNodes) troubles.push(`${directory} is missed`);
if (verdict.redundancy !== options.redundancy) troubles.push(`verified for a redundancy of ${verdict.redundancy}`);
if (verdict.underReplicated > 0) troubles.push(`${verdict.underReplicated} blocks have too few copies`);
if (verdict.surplus > 0) troubles.push(`${verdict.surplus} copies are too many`);
await tape.close();

const catalog = new Catalog(runtime.files, storage);
catalog.refresh(null);
for (const { sequence, copies } of catalog.blocks) {
  const holders = new Set(copies.map((copy) => copy.storage));
  if (holders.size !== options.redundancy || copies.length !== options.redundancy) {
    troubles.push(`block ${sequence} is at ${copies.map((copy) => `${copy.path} ${copy.offset}`).join(', ')}`);
  }
}
for (const { path: file, sealed } of catalog.segments.values()) if (!sealed) troubles.push(`${file} has no footer`);
for (const directory of [journal, ...storage]) {
  for (const name of readdirSync(directory)) {
    if (/\.ttlane$|\.tmp$/.test(name)) troubles.push(`${path.join(directory, name)} is left`);
  }
}

const table = readFileSync(path.join(journal, 'symbols.ttsym'));
const names = new Set();
const count = table.readUInt32LE(SYMBOL_COUNT);
for (let id = 0; id < count; id++) {
  const entry = SYMBOL_HEADER_BYTES + id * SYMBOL_BYTES;
  const name = table.toString('utf8', entry + SYMBOL_NAME, entry + SYMBOL_NAME + table[entry + SYMBOL_LENGTH]);
  if (names.has(name)) troubles.push(`symbol ${name} is in the symbol table twice`);
  names.add(name);
}

const { blocks, underReplicated } = verdict;
const found = { ...checker.finish(), blocks, underReplicated, recovery, repaired, troubles: troubles.slice(0, 20) };
console.log(`found ${JSON.stringify(found)}`);
process.exit(0);
