import type { Batch } from 'ticktape';
import { describe, expect, test } from 'vitest';
import { Check } from '../../dist/src/cli/demo-check.js';
import { Digest, hashName } from '../../dist/src/cli/digest.js';
import type { market } from '../../dist/src/collect/market.js';
import { MarketBatch } from '../../dist/src/collect/market-batch.js';
import { Simulator } from '../../dist/src/collect/sources/simulator.js';

const RECORDS = 1000;

interface Row {
  ts: bigint;
  symbol: string;
  collector: number;
  kind: number;
  flags: number;
  price: number;
  size: number;
  askPrice: number;
  askSize: number;
  exchangeMs: number;
  id: number;
}

/** What two collectors append, as a scan gives it back, and what they say about it. */
function recorded() {
  const rows: Row[] = [];
  const expected = [0, 1].map((collector) => {
    const batch = new MarketBatch(RECORDS);
    new Simulator({ seed: 5, collector, collectors: 2 }).fill(batch, RECORDS);
    const digest = new Digest();
    const hashes = Int32Array.from(batch.names, hashName);
    for (let i = 0; i < RECORDS; i++) {
      digest.add(batch, i, hashes);
      rows.push({
        ts: batch.tsNs[i],
        symbol: batch.names[batch.symbol[i]],
        collector,
        kind: batch.kind[i],
        flags: batch.flags[i],
        price: batch.price[i] / 100,
        size: batch.size[i] / 1000,
        askPrice: batch.askPrice[i] / 100,
        askSize: batch.askSize[i] / 1000,
        exchangeMs: batch.exchangeUs[i] / 1000,
        id: batch.id[i],
      });
    }
    return { appended: RECORDS, digest: `${digest}`, numbered: true };
  });
  // Collectors' records come mixed, each one's in their order.
  rows.sort((a, b) => Number(a.ts - b.ts));
  return { rows, expected };
}

function asBatch(rows: Row[]): Batch<typeof market.fields> {
  const names = [...new Set(rows.map(({ symbol }) => symbol))].reverse();
  // Ids far apart, as symbols of a tape may be.
  const name = (id: number) => names[id / 100];
  const ids = Uint32Array.from(rows, ({ symbol }) => 100 * names.indexOf(symbol));
  const numbers = (field: keyof Row) => Float64Array.from(rows, (row) => row[field] as number);
  const small = (field: keyof Row) => Uint8Array.from(rows, (row) => row[field] as number);
  const columns = {
    ts: BigInt64Array.from(rows, ({ ts }) => ts),
    symbol: { ids, name, at: (i: number) => name(ids[i]) },
    kind: small('kind'),
    flags: small('flags'),
    collector: small('collector'),
    price: numbers('price'),
    size: numbers('size'),
    askPrice: numbers('askPrice'),
    askSize: numbers('askSize'),
    exchangeMs: numbers('exchangeMs'),
    id: numbers('id'),
  };
  return { length: rows.length, columns } as unknown as Batch<typeof market.fields>;
}

function verdict(change: (rows: Row[]) => Row[] | undefined, numbered = true) {
  const { rows, expected } = recorded();
  const read = change(rows) ?? rows;
  const check = new Check(expected.map((one) => ({ ...one, numbered })));
  for (let i = 0; i < read.length; i += 300) check.add(asBatch(read.slice(i, i + 300)));
  return check.verdict();
}

describe.each([true, false])('records numbered: %s', (numbered) => {
  test('all as it was', () => {
    expect(verdict(() => undefined, numbered)).toEqual({ read: 2000, lost: 0, duplicated: 0, digestsEqual: true });
  });

  test('one lost', () => {
    expect(verdict((rows) => rows.toSpliced(700, 1), numbered)).toEqual({
      read: 1999,
      lost: 1,
      duplicated: 0,
      digestsEqual: false,
    });
  });

  test('one twice', () => {
    expect(verdict((rows) => rows.toSpliced(700, 0, rows[700]), numbered)).toEqual({
      read: 2001,
      lost: 0,
      duplicated: 1,
      digestsEqual: false,
    });
  });

  test('two of a collector in the wrong order', () => {
    const swap = (rows: Row[]) => {
      const mine = rows.flatMap(({ collector }, i) => (collector === 1 ? [i] : []));
      const [a, b] = [mine[400], mine[401]];
      return rows.with(a, rows[b]).with(b, rows[a]);
    };
    expect(verdict(swap, numbered)).toEqual({ read: 2000, lost: 0, duplicated: 0, digestsEqual: false });
  });

  test('one of no collector', () => {
    const stray = (rows: Row[]) => rows.toSpliced(9, 0, { ...rows[9], collector: 7 });
    expect(verdict(stray, numbered)).toMatchObject({ lost: 0, duplicated: 1, digestsEqual: false });
  });
});

test('with numbers, one lost and another twice are told apart', () => {
  const rows = (all: Row[]) => {
    const mine = all.flatMap(({ collector }, i) => (collector === 0 ? [i] : []));
    return all.with(mine[10], all[mine[11]]);
  };
  expect(verdict(rows)).toEqual({ read: 2000, lost: 1, duplicated: 1, digestsEqual: false });
});

const changes: { [Field in keyof Row]?: Row[Field] } = {
  ts: 1723123800000000001n,
  symbol: 'ZZZ',
  kind: 9,
  flags: 255,
  price: 0.01,
  size: 0.001,
  askPrice: 0.01,
  askSize: 21474836.48,
  exchangeMs: 1,
};

test.each(Object.entries(changes))('another %s is noticed', (field, value) => {
  expect(verdict((rows) => rows.with(1234, { ...rows[1234], [field]: value }))).toEqual({
    read: 2000,
    lost: 0,
    duplicated: 0,
    digestsEqual: false,
  });
});
