// An agent that stands beside an exchange: records its trades and serves what it records, as it comes, on a local WebSocket.
//   agent [--port 9555] [--feed wss://…] DIRECTORY…
// Without --feed it records an exchange of its own making. How it becomes one executable file: README.md, Recipes.
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { decimal, defineSchema, openTape, symbol, timestamp, u8 } from 'ticktape';
import { WebSocket, WebSocketServer } from 'ws';

const options = { port: { type: 'string', default: '9555' }, feed: { type: 'string' } };
const { values: given, positionals: storage } = parseArgs({ options, allowPositionals: true });

const trade = defineSchema(
  'trade',
  timestamp('ts'),
  symbol('symbol'),
  decimal('price', 8),
  decimal('size', 8),
  u8('side'), // of the aggressor: 1 buys, 2 sells
  decimal('id', 0),
);

// The flusher on this thread: no module of a worker has to be found, and the agent may be one file. Nobody waits for room on it, so what
// comes while a lane is full is dropped, and counted: a lane has room for 80,000 trades.
const tape = await openTape(trade, { storage, flusher: 'inline', onFull: 'drop' });

/** Messages as of Binance's streams of trades. Answers how to stop. */
function connect(url) {
  let socket;
  let again;
  const open = () => {
    socket = new WebSocket(url);
    socket.on('message', (message) => {
      const now = tape.now();
      try {
        const { data = null, ...rest } = JSON.parse(message);
        const { s, p, q, m, t } = data ?? rest;
        if (s !== undefined) tape.append(now, s, Number(p), Number(q), m ? 2 : 1, t);
      } catch (error) {
        console.error(`not recorded: ${error.message}: ${message}`);
      }
    });
    socket.on('error', ({ message }) => console.error(`${url}: ${message}`));
    socket.on('close', () => {
      again = setTimeout(open, 1000);
    });
  };
  open();
  return () => {
    clearTimeout(again);
    socket.removeAllListeners('close').close();
  };
}

/** Some 10,000 trades a second. Answers how to stop. */
function simulate() {
  const cents = { BTCUSDT: 6_180_000, ETHUSDT: 268_000, SOLUSDT: 15_300 };
  const symbols = Object.keys(cents);
  let id = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < 100; i++) {
      const name = symbols[id % symbols.length];
      cents[name] += Math.floor(3 * Math.random()) - 1;
      tape.append(tape.now(), name, cents[name] / 100, (1 + (id % 50)) / 1000, 1 + (id % 2), ++id);
    }
  }, 10);
  return () => clearInterval(timer);
}

const MOST_WAITING_BYTES = 1024 ** 2;
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(given.port) });

/** ws://127.0.0.1:9555/?symbol=BTCUSDT&from=start: a message a batch, an array of trades. */
server.on('connection', async (socket, { url }) => {
  const { searchParams } = new URL(url, 'ws://agent');
  const symbols = searchParams.has('symbol') ? searchParams.getAll('symbol') : undefined;
  const gone = new AbortController();
  socket.on('close', () => gone.abort());
  try {
    for await (const batch of tape.tail({ from: searchParams.get('from') ?? 'now', symbols, signal: gone.signal })) {
      const text = (_, value) => (typeof value === 'bigint' ? String(value) : value);
      socket.send(JSON.stringify([...batch.records()], text));
      // Who reads slower than trades come gets them later; the tape keeps them meanwhile.
      while (socket.bufferedAmount > MOST_WAITING_BYTES && !gone.signal.aborted) await sleep(10);
    }
    socket.close(1001, 'the agent ends');
  } catch (error) {
    if (!gone.signal.aborted) socket.close(1011, error.message.slice(0, 120));
  }
});

server.on('listening', () => {
  const { records } = tape.stats().recovery;
  console.log(JSON.stringify({ storage, recovered: records, port: server.address().port }));
});

const stop = given.feed === undefined ? simulate() : connect(given.feed);

async function end() {
  stop();
  server.close();
  const [{ drops }] = tape.stats().lanes;
  await tape.close();
  console.log(JSON.stringify({ recorded: tape.stats().records, dropped: Number(drops) }));
  process.exit();
}

process.once('SIGTERM', end);
process.once('SIGINT', end);
