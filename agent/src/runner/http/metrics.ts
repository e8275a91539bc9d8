import { bucketEndsMs } from "../../core/duration-histogram.js";
import type { Slots } from "../slots.js";
import { partStages, type Totals, type Windows } from "../windows.js";
import type { Reply } from "./reply.js";
import type { Route } from "./routes.js";
import type { Traffic } from "./traffic.js";

export interface MetricsDeps {
  readonly slots: Slots;
  readonly windows: Windows;
  readonly traffic: Traffic;
}

type Labels = Readonly<Record<string, string | number>>;
/** A value, and what the name of its series has behind that of the family. */
type Sample = readonly [Labels, number, string?];

/** What monitoring scrapes, in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/). */
export function metricsRoute(deps: MetricsDeps): Route {
  return { method: "GET", path: "/metrics", answer: () => metrics(deps) };
}

function metrics({ slots, windows, traffic }: MetricsDeps): Reply {
  const { answered, dropped, refused, gone } = traffic.counts();
  const totals = windows.totals();
  const models = slots.status();
  const text = [
    family(
      "muster_requests_total",
      "counter",
      "Requests answered",
      answered.map(({ status, count }) => [{ status }, count]),
    ),
    family("muster_clients_gone_total", "counter", "Clients that left before their answer", [[{}, gone]]),
    family("muster_connections_dropped_total", "counter", "Connections beyond maxConnections", [[{}, dropped]]),
    family("muster_connections_refused_total", "counter", "Connections that sent no HTTP or too slowly", [
      [{}, refused],
    ]),
    family(
      "muster_inputs_total",
      "counter",
      "Inputs worked on, failures included",
      totals.map(({ inputs, ...of }) => [of.labels, inputs]),
    ),
    family(
      "muster_input_errors_total",
      "counter",
      "Inputs the model failed on",
      totals.map(({ errors, ...of }) => [of.labels, errors]),
    ),
    family(
      "muster_inputs_dropped_total",
      "counter",
      "Inputs refused or not answered in time",
      totals.map((of) => [of.labels, of.dropped]),
    ),
    family(
      "muster_input_duration_seconds",
      "histogram",
      "Time from bytes to answer, of the inputs that were answered",
      totals.flatMap(durations),
    ),
    family(
      "muster_input_stage_seconds_total",
      "counter",
      "The parts of that time, summed",
      totals.flatMap(({ labels, stagesMs }) =>
        partStages.map((stage): Sample => [{ ...labels, stage }, stagesMs[stage] / 1000]),
      ),
    ),
    family(
      "muster_queue_length",
      "gauge",
      "Inputs that wait",
      models.map(({ model, version, queued }) => [{ model, version }, queued]),
    ),
    family(
      "muster_model_serving",
      "gauge",
      "1 for the version in service",
      models.map(({ model, version, serving }) => [{ model, version }, serving ? 1 : 0]),
    ),
    family("process_resident_memory_bytes", "gauge", "Resident memory of the runner", [
      [{}, process.memoryUsage.rss()],
    ]),
  ].join("");
  return { status: 200, headers: { "content-type": "text/plain; version=0.0.4" }, body: [text] };
}

/** The series of a histogram: what took as long or less, for each bucket and for all, then sum and count. */
function durations({ labels, durations: seen }: Totals): Sample[] {
  const ends = [...bucketEndsMs.map((endMs) => endMs / 1000), "+Inf"];
  const upTo = [...seen.upTo(), seen.count];
  return [
    ...ends.map((le, at): Sample => [{ ...labels, le }, upTo[at] ?? 0, "_bucket"]),
    [labels, seen.sumMs / 1000, "_sum"],
    [labels, seen.count, "_count"],
  ];
}

function family(name: string, type: string, help: string, samples: readonly Sample[]): string {
  const lines = samples.map(([labels, value, ending = ""]) => `${name}${ending}${labelText(labels)} ${value}\n`);
  return `# HELP ${name} ${help}.\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

/** Model and version names hold no character that would have to be escaped. */
function labelText(labels: Labels): string {
  const texts = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return texts.length === 0 ? "" : `{${texts.join(",")}}`;
}
