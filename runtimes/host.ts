import type { Runtime } from '../src/runtime.js';
import { calibratedClock, scriptWallClock } from './clock.js';
import { systemFiles } from './files.js';
import { bindLibc, type Ffi, type Libc } from './libc.js';
import { lockBySystem, type TryLock } from './lock.js';
import { lockByFile } from './lock-file.js';
import type { Holder } from './lock-holder.js';
import { posixAllocate, posixMapper, posixSteadyClock, posixTryLock, posixWallClock } from './posix.js';
import { preallocate } from './preallocate.js';
import { readStdin } from './stdin.js';
import { spawn } from './worker.js';
import { zstd } from './zstd.js';

/** In what the runtimes differ. */
export interface Host {
  name: Runtime['name'];
  /** @throws TapeError `UNSUPPORTED`, saying what to do for it */
  loadFfi(): Ffi;
  /** The system's locks without FFI, where the runtime has them itself. */
  tryLock?: TryLock;
  /** Whether the holder of a lock file may be running, where finding out takes more than asking the system. */
  mayRun?(holder: Holder): boolean;
  monotonicNs(): bigint;
  /** Reading the system's clock through FFI costs less than the runtime's own monotonic one. */
  ffiClockIsCheaper?: boolean;
  /** The engine gives the pages of a collected WebAssembly.Memory to the next one as they are, with what is mapped there. */
  reusesPages?: boolean;
  /** Where reading its descriptor won't do. */
  stdin?: Runtime['stdin'];
}

export function makeRuntime(host: Host): Runtime {
  let bound: Libc | undefined;
  let clock: (() => bigint) | undefined;

  function libc(): Libc {
    bound ??= bindLibc(host.loadFfi);
    return bound;
  }

  function libcIfAny(): Libc | undefined {
    try {
      return libc();
    } catch {
      return undefined;
    }
  }

  function makeClock(): () => bigint {
    const found = libcIfAny();
    if (found !== undefined && host.ffiClockIsCheaper) return posixSteadyClock(found);
    return calibratedClock(host.monotonicNs, found === undefined ? scriptWallClock() : posixWallClock(found));
  }

  return {
    name: host.name,
    mapper: () => posixMapper(libc(), host.reusesPages === true),
    files: systemFiles((path, bytes) => {
      const found = libcIfAny();
      preallocate(path, bytes, found && ((file, length) => posixAllocate(found, file, length)));
    }),
    lock(path) {
      const found = libcIfAny();
      const tryLock: TryLock | undefined = found ? (file) => posixTryLock(found, file) : host.tryLock;
      return tryLock === undefined ? lockByFile(path) : lockBySystem(path, tryLock, host.mayRun);
    },
    spawn,
    stdin: host.stdin ?? readStdin,
    zstd,
    nowNs() {
      clock ??= makeClock();
      return clock();
    },
    nowMs: () => performance.now(),
    sleep: (ms, keepAlive = true) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        if (!keepAlive) timer.unref();
      }),
  };
}
