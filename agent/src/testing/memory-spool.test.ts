import { MemorySpool, type SpoolMemory } from "./memory-spool.js";
import { type Note, spoolContract } from "./spool-contract.js";

spoolContract("memory spool", async () => {
  const memory: SpoolMemory<Note> = { stream: "", records: [] };
  return { open: async () => new MemorySpool<Note>(memory, 5) };
});
