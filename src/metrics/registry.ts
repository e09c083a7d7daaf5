// The figures of a session in Prometheus' text format. Each scrape has a registry of its own: what is counted stands in the tape's memory.
import { Counter, Gauge, type MetricValueWithName, Registry } from 'prom-client';
import { COLLECTOR_BUCKETS, COLLECTOR_BYTES } from '../../assembly/layout.js';
import { appendBucketNs } from '../collect/collector-counters.js';
import type { SessionFigures } from '../stats.js';
import { backlogOf } from './read-session.js';

const SESSION_STATES = ['opening', 'open', 'closing', 'failed'] as const;
const STORAGE_STATES = ['healthy', 'aside', 'hung'] as const;
const COLLECTOR_STATES = ['starting', 'running', 'waiting', 'ended'] as const;

const BUCKETS = (COLLECTOR_BYTES - COLLECTOR_BUCKETS) / 4;
/** Of the buckets of times, those that end a doubling: a scrape need not have eight times as many. */
const BOUNDS = Array.from({ length: BUCKETS - 1 }, (_, i) => i).filter((bucket) => bucket % 8 === 7);

type Labels = Record<string, string>;
type Sample = [labels: Labels, value: number];

/** Metrics by name, `total` and units in it. Figures of another process may be anything: what is no number is left out. */
class Exposition {
  readonly #registry = new Registry();

  gauge(name: string, help: string, ...samples: Sample[]): void {
    const gauge = new Gauge({ name, help, labelNames: labelNames(samples), registers: [this.#registry] });
    for (const [labels, value] of samples) if (Number.isFinite(value)) gauge.set(labels, value);
  }

  counter(name: string, help: string, ...samples: Sample[]): void {
    const counter = new Counter({ name, help, labelNames: labelNames(samples), registers: [this.#registry] });
    for (const [labels, value] of samples) if (Number.isFinite(value) && value >= 0) counter.inc(labels, value);
  }

  /** One state of each thing is 1, the others are 0. */
  states(name: string, help: string, states: readonly string[], of: [labels: Labels, state: string][]): void {
    const samples = of.flatMap(([labels, now]) =>
      states.map((state): Sample => [{ ...labels, state }, now === state ? 1 : 0]),
    );
    this.gauge(name, help, ...samples);
  }

  /** Counts that were kept in buckets: a `Histogram` of prom-client takes single observations only. */
  histogram(name: string, help: string, of: [labels: Labels, counts: Uint32Array][]): void {
    const values = of.flatMap(([labels, counts]) => bucketValues(name, labels, counts));
    const metric = { name, get: async () => ({ name, help, type: 'histogram', values }) };
    this.#registry.registerMetric(metric as unknown as Gauge);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

const labelNames = (samples: Sample[]): string[] => Object.keys(samples[0]?.[0] ?? {});

function bucketValues(name: string, labels: Labels, counts: Uint32Array): MetricValueWithName<string>[] {
  const values: MetricValueWithName<string>[] = [];
  let seen = 0;
  let sumNs = 0;
  counts.forEach((times, bucket) => {
    seen += times;
    const least = bucket === 0 ? 0 : appendBucketNs(bucket - 1) + 1;
    sumNs += times * (least + (appendBucketNs(bucket) - least) / 2);
    if (!BOUNDS.includes(bucket)) return;
    const le = String((appendBucketNs(bucket) + 1) / 1e9);
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: seen });
  });
  values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: seen });
  values.push({ metricName: `${name}_sum`, labels, value: sumNs / 1e9 });
  values.push({ metricName: `${name}_count`, labels, value: seen });
  return values;
}

/** A name for each, no two the same: two series of the same labels would spoil the whole scrape. */
function distinct(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name, i) => {
    let own = name === '' ? String(i) : name;
    while (taken.has(own)) own = `${own}#${i}`;
    taken.add(own);
    return own;
  });
}

/** All that a scrape of the session is told. */
export function metricsOf(figures: SessionFigures): Promise<string> {
  const { lanes, storageNodes, collectors, degraded, retention } = figures;
  const out = new Exposition();
  const single = (value: number): Sample => [{}, value];

  out.states('ticktape_session_state', 'Whether the tape takes records', SESSION_STATES, [[{}, figures.state]]);
  out.gauge('ticktape_session_start_time_seconds', 'When the session began', single(Number(figures.startedNs) / 1e9));
  out.gauge(
    'ticktape_heartbeat_time_seconds',
    'When the flusher last looked at the lanes',
    single(Number(figures.heartbeatNs) / 1e9),
  );
  out.gauge(
    'ticktape_redundancy_copies',
    'On how many storage nodes each block is to be kept',
    single(figures.redundancy),
  );
  out.counter('ticktape_stored_records_total', 'Records in blocks on their storage nodes', single(figures.records));
  out.counter('ticktape_stored_blocks_total', 'Blocks on their storage nodes', single(figures.blocks));
  out.counter('ticktape_raw_bytes_total', 'Bytes of the stored records as rows', single(figures.rawBytes));
  out.counter(
    'ticktape_stored_bytes_total',
    'Bytes of the stored blocks, one copy of each',
    single(figures.storedBytes),
  );
  out.counter(
    'ticktape_degraded_blocks_total',
    'Blocks stored in fewer copies than asked for',
    single(degraded.blocks),
  );
  out.counter(
    'ticktape_degraded_records_total',
    'Records stored in fewer copies than asked for',
    single(degraded.records),
  );
  out.counter('ticktape_retention_dropped_records_total', 'Records that retention dropped', single(retention.records));
  out.counter('ticktape_retention_dropped_segments_total', 'Files that retention dropped', single(retention.segments));
  out.counter(
    'ticktape_retention_dropped_bytes_total',
    'Bytes of files that retention dropped',
    single(retention.bytes),
  );

  const byLane = (value: (lane: (typeof lanes)[number]) => number) =>
    lanes.map((lane): Sample => [{ lane: String(lane.lane) }, value(lane)]);
  out.counter('ticktape_lane_records_total', 'Records appended', ...byLane(({ records }) => Number(records)));
  out.counter(
    'ticktape_lane_dropped_records_total',
    'Records dropped as the lane was full',
    ...byLane(({ drops }) => Number(drops)),
  );
  out.gauge('ticktape_lane_backlog_ratio', 'Share of the ring that is not yet stored, 0 to 1', ...byLane(backlogOf));

  const paths = distinct(storageNodes.map(({ path }) => path));
  const byNode = (value: (node: (typeof storageNodes)[number]) => number) =>
    storageNodes.map((node, i): Sample => [{ storage_node: paths[i] }, value(node)]);
  out.states(
    'ticktape_storage_node_state',
    'Whether the storage node takes blocks',
    STORAGE_STATES,
    storageNodes.map(({ state }, i) => [{ storage_node: paths[i] }, state]),
  );
  out.counter('ticktape_storage_node_blocks_total', 'Blocks committed on it', ...byNode(({ blocks }) => blocks));
  out.counter('ticktape_storage_node_bytes_total', 'Bytes of these blocks', ...byNode(({ bytes }) => bytes));
  out.counter('ticktape_storage_node_errors_total', 'Writes that failed', ...byNode(({ errors }) => errors));
  out.gauge(
    'ticktape_storage_node_in_flight_bytes',
    'Of blocks that it was given and has not committed',
    ...byNode(({ inFlightBytes }) => inFlightBytes),
  );
  out.gauge(
    'ticktape_storage_node_write_seconds',
    'That it takes to write a block, of late',
    ...byNode(({ writeMs }) => writeMs / 1000),
  );
  out.gauge(
    'ticktape_storage_node_slowest_write_seconds',
    'That it took to write a block at most',
    ...byNode(({ slowestWriteMs }) => slowestWriteMs / 1000),
  );

  const names = distinct(collectors.map(({ name }) => name));
  const byCollector = (value: (collector: (typeof collectors)[number]) => number) =>
    collectors.map((collector, i): Sample => [{ collector: names[i] }, value(collector)]);
  out.states(
    'ticktape_collector_state',
    'What the collector does',
    COLLECTOR_STATES,
    collectors.map(({ state }, i) => [{ collector: names[i] }, state]),
  );
  out.gauge('ticktape_collector_lane', 'The lane that it appends to', ...byCollector(({ lane }) => lane));
  out.counter('ticktape_collector_messages_total', 'Messages received', ...byCollector(({ messages }) => messages));
  out.counter(
    'ticktape_collector_message_bytes_total',
    'Bytes of these messages',
    ...byCollector(({ bytes }) => bytes),
  );
  out.counter(
    'ticktape_collector_rejected_messages_total',
    'Messages that were not understood',
    ...byCollector(({ rejected }) => rejected),
  );
  out.counter(
    'ticktape_collector_gaps_total',
    'Times in which it missed something',
    ...byCollector(({ gaps }) => gaps),
  );
  out.counter(
    'ticktape_collector_restarts_total',
    'Starts after a failure',
    ...byCollector(({ restarts }) => restarts),
  );
  out.gauge(
    'ticktape_collector_last_message_time_seconds',
    'When it last received a message; 0 before the first',
    ...byCollector(({ lastNs }) => lastNs / 1e9),
  );
  out.histogram(
    'ticktape_collector_append_seconds',
    'Times of the appends that were timed, a sample of all; the sum is taken from the middles of the buckets they were counted in',
    collectors.map(({ appendTimes }, i) => [{ collector: names[i] }, appendTimes]),
  );
  return out.text();
}
