import { cliReference } from "./reference.js";

process.stdout.write(cliReference());
