import { bench } from "./testing/broker-bench.js";
import { deviceLinkContract } from "./testing/device-link-contract.js";

deviceLinkContract("embedded broker", (t) => bench(t));
