import type { Slots } from "../slots.js";
import type { Windows } from "../windows.js";
import type { Reply } from "./reply.js";
import type { Route } from "./routes.js";
import type { Traffic } from "./traffic.js";

export interface MetricsDeps {
  readonly slots: Slots;
  readonly windows: Windows;
  readonly traffic: Traffic;
}

type Labels = Readonly<Record<string, string | number>>;

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
      "muster_input_seconds_total",
      "counter",
      "Time from bytes to answer, summed",
      totals.map((of) => [of.labels, of.totalMs / 1000]),
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

function family(name: string, type: string, help: string, samples: readonly (readonly [Labels, number])[]): string {
  const lines = samples.map(([labels, value]) => `${name}${labelText(labels)} ${value}\n`);
  return `# HELP ${name} ${help}.\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

/** Model and version names hold no character that would have to be escaped. */
function labelText(labels: Labels): string {
  const texts = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return texts.length === 0 ? "" : `{${texts.join(",")}}`;
}
