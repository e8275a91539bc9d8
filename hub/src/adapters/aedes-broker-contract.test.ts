import { bench } from "./testing/broker-bench.js";
import { deviceLinkContract, lanesContract } from "./testing/device-link-contract.js";

deviceLinkContract("embedded broker", (t) => bench(t));
lanesContract("embedded broker", (t) => bench(t));
