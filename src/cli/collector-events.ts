import type { CollectorEvent } from '../collect/collector.js';

/** Puts into words what happens to collectors, as far as it is news to a user: what fails again and again is told once. */
export class CollectorEvents {
  /** By collector: what it was last told to suffer from. */
  readonly #told = new Map<number, string>();
  /** Gaps end now because collectors do. */
  isStopping = false;

  /** Null where there is nothing to tell. */
  describe(event: CollectorEvent): string | null {
    const { name, collector } = event;
    switch (event.type) {
      case 'failed': {
        const { error, waitMs } = event;
        if (waitMs === null) {
          this.#told.delete(collector);
          return `${name}: ${error.message}; it is not started again`;
        }
        return this.#news(collector, `${name}: ${error.message}; it is tried again`);
      }
      case 'gap': {
        const { fromNs, toNs, reason } = event.gap;
        // A failure's is told as that.
        if (toNs === null) return reason.startsWith('failed: ') ? null : this.#news(collector, `${name}: ${reason}`);
        if (this.isStopping || !this.#told.delete(collector)) return null;
        return `${name}: receives again, after ${(Number(toNs - fromNs) / 1e9).toFixed(1)} s`;
      }
      case 'trouble':
        return `${name}: ${event.message}`;
      default:
        return null;
    }
  }

  #news(collector: number, text: string): string | null {
    if (this.#told.get(collector) === text) return null;
    this.#told.set(collector, text);
    return text;
  }
}
