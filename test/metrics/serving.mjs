// Serves metrics, holds a connection to itself, and has nothing else to do.
import http from 'node:http';
import { startMetrics } from '../../dist/src/metrics/server.js';

const server = await startMetrics({ host: '127.0.0.1', port: 0 }, () => null);
const agent = new http.Agent({ keepAlive: true });
http.get(server.url, { agent }, (response) => {
  response.resume().on('end', () => {
    console.log(response.statusCode);
    // The client's own end of the connection would hold the process.
    agent.destroy();
  });
});
