// What other formats make of the data sets: bytes alone, which don't depend on the runtime. Prints them as JSON by data set.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { Progress } from '../../src/cli/progress.js';
import type { FieldKind } from '../../src/schema.js';
import { csvOf } from './columns.js';
import { type DataSet, loadDataSet, missingFile } from './data.js';
import type { Figures } from './measure.js';
import { parseOptions, report } from './options.js';

// This module lies in dist/bench/codec; the peers are not built.
const peers = fileURLToPath(new URL('../../../bench/peers/', import.meta.url));

const SQL_TYPES: Partial<Record<FieldKind, string>> = {
  timestamp: 'BIGINT',
  symbol: 'VARCHAR',
  i64: 'BIGINT',
  u64: 'UBIGINT',
  i32: 'INTEGER',
  u32: 'UINTEGER',
  i16: 'SMALLINT',
  u16: 'USMALLINT',
  i8: 'TINYINT',
  u8: 'UTINYINT',
};

const bytesOnly = (bytesPerRecord: number): Figures => ({ bytesPerRecord, encodeMrps: null, decodeMrps: null });

function parquet({ schema, count }: DataSet, csv: string): Figures {
  if (!existsSync(path.join(peers, 'node_modules'))) {
    console.error('parquet-zstd is left out: DuckDB is not installed; npm ci --prefix bench/peers installs it');
    return {
      bytesPerRecord: null,
      encodeMrps: null,
      decodeMrps: null,
      reason: 'not installed: npm ci --prefix bench/peers',
    };
  }
  const directory = mkdtempSync(path.join(tmpdir(), 'ticktape-bench-'));
  try {
    const file = path.join(directory, 'records.csv');
    writeFileSync(file, csv);
    const types = Object.fromEntries(
      schema.fields.map(({ name, kind, scale }) => [name, SQL_TYPES[kind] ?? `DECIMAL(18, ${scale})`]),
    );
    const args = [path.join(peers, 'parquet.mjs'), file, JSON.stringify(types)];
    const { bytes, records } = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
    if (records !== count) throw new Error(`the parquet file has ${records} records, not ${count}`);
    return bytesOnly(bytes / count);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

await report(async () => {
  const options = parseOptions(process.argv.slice(2));
  const figures: Record<string, Record<string, Figures>> = {};
  const progress = new Progress();
  for (const name of options.dataSets) {
    const missing = missingFile(name);
    if (missing !== undefined) {
      console.error(`${name} is left out: there is no ${missing}`);
      continue;
    }
    progress.begin(`${name} files`);
    const data = await loadDataSet(name, options.limit);
    const csv = csvOf(data.schema, data.columns, data.count, data.symbols);
    const baselines: Record<string, Figures> = {};
    if (data.file !== undefined) baselines[data.file.baseline] = bytesOnly(data.file.bytes / data.file.records);
    baselines['csv.gz'] = bytesOnly(gzipSync(data.csv ?? csv, { level: 6 }).length / data.count);
    baselines['parquet-zstd'] = parquet(data, csv);
    figures[name] = baselines;
    progress.end();
  }
  console.log(JSON.stringify(figures));
});
