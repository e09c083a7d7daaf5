// The flusher's thread, where a storage node is slow.
import { workerData } from 'node:worker_threads';
import { runtime } from 'ticktape/runtime';
import { type Slowness, slowFiles } from './slow-files.js';

const { slowness } = workerData as { slowness: Slowness };
Object.assign(runtime, { files: slowFiles(runtime.files, slowness) });
await import('../../src/flush/worker.js');
