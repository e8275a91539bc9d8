import { type EngineHardware, formatBytes, type HeldEngine, type SharedEngine } from "@muster/shared";
import type { Session } from "./session.js";
import { type Column, orDash, table } from "./table.js";
import { ago } from "./time.js";

type View = Pick<Session, "style" | "nowMs">;

/** What devices hold and what is shared, one table each. */
export function engineLists(shared: readonly SharedEngine[], held: readonly HeldEngine[], view: View): string {
  const { style } = view;
  const parts = [
    ...(shared.length === 0 ? [] : [`${style.bold("Shared")}\n${sharedTable(shared, view)}`]),
    ...(held.length === 0 ? [] : [`${style.bold("On devices")}\n${heldTable(held, view)}`]),
  ];
  return parts.join("\n\n");
}

function sharedTable(engines: readonly SharedEngine[], { style, nowMs }: View): string {
  const signed = ({ signedBy, trusted }: SharedEngine) => {
    const keys = signedBy.map((keyid) => keyid.slice(0, 12)).join(", ");
    return trusted ? keys : { text: `${keys} (not trusted any more)`, paint: style.bad };
  };
  return table<SharedEngine>(
    [
      { title: "id", value: ({ id }) => id },
      { title: "model", value: ({ versions: [of] }) => orDash(of?.model) },
      { title: "version", value: ({ versions: [of] }) => orDash(of?.version) },
      { title: "variant", value: ({ versions: [of] }) => orDash(of?.variant) },
      ...common(),
      { title: "built by", value: ({ builtBy }) => orDash(builtBy) },
      { title: "signed by", value: signed },
      { title: "since", value: ({ sharedMs }) => ago(sharedMs, nowMs) },
    ],
    engines,
    style,
  );
}

function heldTable(engines: readonly HeldEngine[], { style }: View): string {
  return table<HeldEngine>(
    [
      { title: "device", value: ({ device }) => device },
      { title: "model", value: ({ model }) => model },
      { title: "version", value: ({ version }) => version },
      { title: "variant", value: ({ variant }) => variant },
      ...common(),
      { title: "shared", value: ({ shared }) => orDash(shared) },
    ],
    engines,
    style,
  );
}

function common(): Column<Pick<HeldEngine, "files" | "sizeBytes" | "engineClass" | "hardware">>[] {
  return [
    { title: "class", value: ({ engineClass, hardware }) => classText(engineClass, hardware) },
    { title: "files", value: ({ files }) => String(files.length), right: true },
    { title: "size", value: ({ sizeBytes }) => formatBytes(sizeBytes), right: true },
  ];
}

/** A class as people know it: the first digits of its digest, and what its devices have. */
export function classText(engineClass: string | undefined, hardware: EngineHardware | undefined): string {
  if (engineClass === undefined || hardware === undefined) return "unknown";
  const { platform, arch, gpus = [], jetson, onnxruntime } = hardware;
  const names = jetson === undefined ? gpus.map(({ name }) => name) : [jetson.module];
  const release = jetson?.l4t === undefined ? [] : [`L4T ${jetson.l4t}`];
  const machine = names.length === 0 ? `${platform} ${arch}` : [...new Set(names)].join(", ");
  const runtime = onnxruntime === undefined ? [] : [`ONNX Runtime ${onnxruntime.version}`];
  return `${engineClass.slice(0, 12)} (${[machine, ...release, ...runtime].join(", ")})`;
}
