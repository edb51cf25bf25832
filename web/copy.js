#!/usr/bin/env node
// Copies the viewer (embed.html and what belongs to it) into a folder that a site serves:
//   npx weightroom-viewer public/weightroom
import { cpSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const to = process.argv[2];
if (!to || to.startsWith("-")) {
  console.error("usage: weightroom-viewer FOLDER    copies the viewer to a folder that your site serves");
  process.exit(2);
}
rmSync(join(to, "assets"), { recursive: true, force: true }); // of an older version
cpSync(join(dirname(fileURLToPath(import.meta.url)), "dist"), to, { recursive: true });
