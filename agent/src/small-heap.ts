/**
 * Keeps the heap of this process small; the first thing an agent imports. V8 doubles its young generation up to 32 MB and
 * inlines generously, which saves a server some work and takes half of what an agent needs. In so small a heap the buffers of
 * a transfer would have V8 mark it all, in steps and on four more threads, 25 times a second; at once it is marked far more
 * seldom, for less than half the processor time of a transfer, and a pause of 20 ms holds nobody up here. All flags are read
 * when V8 grows, optimises or collects, so they count although it runs already.
 */
import { setFlagsFromString } from "node:v8";

setFlagsFromString("--semi-space-growth-factor=1");
setFlagsFromString("--optimize-for-size");
setFlagsFromString("--no-incremental-marking");
