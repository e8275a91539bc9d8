/**
 * Keeps the heap of this process small; the first thing an agent imports. V8 doubles its young generation up to 32 MB and
 * inlines generously, which saves a server some work and takes half of what an agent needs. Both flags are read when V8
 * grows or optimises, so they count although it runs already.
 */
import { setFlagsFromString } from "node:v8";

setFlagsFromString("--semi-space-growth-factor=1");
setFlagsFromString("--optimize-for-size");
