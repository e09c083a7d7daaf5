// How long a Parquet file is that DuckDB makes of a CSV file:
//   node parquet.mjs FILE.csv '{ "name of a column": "SQL type", … }'
import { rmSync, statSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

const [csv, types] = process.argv.slice(2);
const quoted = (text) => `'${text.replaceAll("'", "''")}'`;
const columns = Object.entries(JSON.parse(types)).map(([name, type]) => `${quoted(name)}: ${quoted(type)}`);
const parquet = `${csv}.parquet`;

const instance = await DuckDBInstance.create(':memory:');
const connection = await instance.connect();
try {
  await connection.run(
    `COPY (FROM read_csv(${quoted(csv)}, header = true, columns = { ${columns.join(', ')} }))
     TO ${quoted(parquet)} (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2)`,
  );
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${quoted(parquet)}`);
  const records = Number(counted.getRows()[0][0]);
  console.log(JSON.stringify({ bytes: statSync(parquet).size, records }));
} finally {
  connection.closeSync();
  instance.closeSync();
  rmSync(parquet, { force: true });
}
