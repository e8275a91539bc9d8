#!/usr/bin/env node
import "../dist/small-heap.js";

await import("../dist/main.js");
