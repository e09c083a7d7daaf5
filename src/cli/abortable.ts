import { Interrupt } from './interrupt.js';

/** Runs work that a signal (Ctrl-C) may end: it is told so, and ends tidily before the signal's error is thrown. */
export async function abortable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = new Interrupt(() => {});
  const running = work(controller.signal);
  try {
    return await interrupt.race(running);
  } catch (error) {
    controller.abort(error);
    await running.catch(() => {});
    throw error;
  } finally {
    interrupt.dispose();
  }
}
