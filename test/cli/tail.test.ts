import path from 'node:path';
import { decimal, defineSchema, openTape, symbol, timestamp } from 'ticktape';
import { expect, onTestFinished, test } from 'vitest';
import { startTicktape } from '../helpers/command-line.js';
import { scratch } from '../helpers/scratch.js';

const schema = defineSchema('trade', timestamp('ts'), symbol('symbol'), decimal('price', 2));
const START = 1_700_000_000_000_000_000n;

async function openSmall() {
  const storage = [path.join(scratch(), 'd0')];
  const tape = await openTape(schema, { storage, redundancy: 1, segmentBytes: 1024 ** 2, laneBytes: 65_536 });
  onTestFinished(() => tape.close());
  let n = 0;
  const append = (count: number) => {
    for (const until = n + count; n < until; n++) tape.append(START + BigInt(n), n % 2 ? 'ODD' : 'EVEN', n / 4);
  };
  return { storage, tape, append };
}

test('from the start, sealed or not, as JSON', async () => {
  const { storage, tape, append } = await openSmall();
  append(10);
  await tape.flush();
  append(10);
  const { status, stdout, stderr } = await startTicktape([
    'tail',
    ...storage,
    '--from',
    'start',
    '--count',
    '20',
    '--json',
  ]).ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const records = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(records.map(({ price }) => price)).toEqual(Array.from({ length: 20 }, (_, n) => n / 4));
  expect(records[0]).toEqual({ ts: '2023-11-14T22:13:20.000000000Z', symbol: 'EVEN', price: 0 });
});

test('only what is asked for', async () => {
  const { storage, append } = await openSmall();
  append(20);
  const asked = ['--symbol', 'ODD', '--where', 'price>=2', '--columns', 'price', '--format', 'csv', '--count', '3'];
  const { status, stdout } = await startTicktape(['tail', ...storage, '--from', 'start', ...asked]).ended;
  expect(status).toBe(0);
  expect(stdout).toBe('price\r\n2.25\r\n2.75\r\n3.25\r\n');
});

test('what is appended while it runs, until it is stopped', async () => {
  const { storage, append } = await openSmall();
  append(5);
  const { child, ended } = startTicktape(['tail', ...storage, '--format', 'csv']);
  let seen = '';
  const waitFor = (text: string) =>
    new Promise<void>((resolve) => {
      child.stdout!.on('data', (more) => {
        seen += more;
        if (seen.includes(text)) resolve();
      });
    });
  await waitFor('ts,symbol,price');
  append(1);
  await waitFor('1.25');
  child.kill('SIGINT');
  const { status, stdout } = await ended;
  expect(status).toBe(130);
  expect(stdout.trimEnd().split('\r\n')).toEqual(['ts,symbol,price', '2023-11-14T22:13:20.000000005Z,ODD,1.25']);
});

test('refuses what it can not do, in a line', async () => {
  const { storage } = await openSmall();
  const nowhere = path.join(scratch(), 'nowhere');
  for (const [args, status, message] of [
    [[nowhere], 1, 'no tape there'],
    [[...storage, '--where', 'price'], 2, '--where'],
    [[...storage, '--columns', 'size'], 2, 'size'],
    [[...storage, '--format', 'xml'], 2, 'xml'],
    [[...storage, '--from', 'yesterday'], 2, 'yesterday'],
    [[], 2, 'storage directories'],
  ] as const) {
    const ended = await startTicktape(['tail', ...args]).ended;
    expect({ status: ended.status, stdout: ended.stdout }).toEqual({ status, stdout: '' });
    expect(ended.stderr).toContain(message);
    expect(ended.stderr.trimEnd().split('\n').length).toBe(1);
  }
});
