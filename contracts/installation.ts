// What a bare server installs: which agent, launcher and Node, and by which script. An operator publishes it.
import { z } from "zod";
import { AgentVersion, Sha256 } from "./agent-release.ts";

/** Filled into a shell script between single quotes: nothing with a quote in it passes. */
const Url = z
  .string()
  .max(253)
  .regex(/^https?:\/\/[A-Za-z0-9.:[\]/_-]+[^/]$/, {
    message: "must be an http(s) URL without query and without a final slash",
  });

/** x64, arm64: SHA-256 of the gzipped tarballs of that version. url: they lie there as they do at nodejs.org/dist. */
const NodeRelease = z.strictObject({ version: AgentVersion, x64: Sha256, arm64: Sha256, url: Url });

/** PUT /v1/installation. agent, launcher, script: of bytes uploaded before, PUT /v1/agent-bundles/{sha256}. */
export const Installation = z.strictObject({
  version: AgentVersion,
  agent: Sha256,
  launcher: Sha256,
  script: Sha256,
  node: NodeRelease,
});
export type Installation = z.infer<typeof Installation>;
