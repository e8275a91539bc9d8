import { deviceLinkContract } from "@muster/hub/testing";
import { mosquittoBench } from "../fleet/mosquitto-bench.js";

deviceLinkContract("Mosquitto", (t) => mosquittoBench(t));
