// Connects to a WebSocket server, says so, and reads nothing of what that sends: node stuck-client.mjs PORT
import net from 'node:net';
import process from 'node:process';

const socket = net.connect(Number(process.argv[2]), '127.0.0.1', () => {
  const request =
    'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
  socket.write(request, () => {
    process.stdout.write('connected\n', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000));
  });
});
