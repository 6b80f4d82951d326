// logs: the recent lines of every instance, and with -f those to come.
import { Command } from "@commander-js/extra-typings";
import pc from "picocolors";
import { z } from "zod";
import { LogLine } from "../../contracts/ticket.ts";
import { jsonText } from "../plain-text.ts";
import { wholeNumber } from "../whole-number.ts";
import { appNameOf, appPath, contextOf } from "./run.ts";

const AppLogLine = LogLine.extend({ instance: z.string(), node: z.string() });

export function logsCommand() {
  return new Command("logs")
    .description("what an app's instances print")
    .argument("[app]")
    .option("-f, --follow", "go on as lines come; Ctrl-C ends it")
    .option("-n, --tail <lines>", "how many of the last lines of each instance", wholeNumber, 100)
    .option("--instance <id>", "of this instance only")
    .action(async (named, options, command) => {
      const context = contextOf(command);
      const query = new URLSearchParams({ tail: String(options.tail), ...(options.follow ? { follow: "1" } : {}) });
      if (options.instance !== undefined) query.set("instance", options.instance);
      const stop = new AbortController();
      process.once("SIGINT", () => {
        stop.abort();
        process.exit(0);
      });
      const body = await context.api.stream(
        appPath(appNameOf(context, named), `/logs?${query.toString()}`),
        stop.signal,
      );
      for await (const text of lines(body)) {
        const line = AppLogLine.parse(JSON.parse(text));
        if (context.out.json) process.stdout.write(`${jsonText(line)}\n`);
        else process.stdout.write(`${format(line)}\n`);
      }
    });
}

function format(line: z.infer<typeof AppLogLine>): string {
  const at = pc.dim(new Date(line.atMs).toISOString().slice(11, 23));
  const who = pc.cyan(line.instance.slice(-6));
  const text =
    line.stream === "stderr" ? pc.yellow(line.line) : line.stream === "berth" ? pc.dim(line.line) : line.line;
  return `${at} ${who} ${text}`;
}

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts.filter((part) => part !== "");
  }
  if (rest !== "") yield rest;
}
