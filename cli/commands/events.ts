// events: the story of an app, as its object and the nodes told it.
import { Command } from "@commander-js/extra-typings";
import { App } from "../../contracts/api.ts";
import { EXIT } from "../failure.ts";
import { jsonText } from "../plain-text.ts";
import { tellAppEvent } from "../story/app-events.ts";
import { lastEvents, storyTeller } from "../story/show.ts";
import { wholeNumber } from "../whole-number.ts";
import { appNameOf, appPath, contextOf } from "./run.ts";

export function eventsCommand() {
  return new Command("events")
    .description("what happened to an app, oldest first")
    .argument("[app]")
    .option("-n, --last <count>", "how many of the last events", wholeNumber, 100)
    .option("-f, --follow", "go on as events come; Ctrl-C ends it")
    .action(async (named, options, command) => {
      const context = contextOf(command);
      const name = appNameOf(context, named);
      const events = await lastEvents(context, appPath(name, "/history"), options.last);
      const tell = storyTeller(context, tellAppEvent);
      if (options.follow !== true) {
        if (context.out.json) return context.out.result(events, () => {});
        for (const event of events) await tell(event);
        return;
      }
      const show = async (event: (typeof events)[number]): Promise<void> => {
        if (context.out.json) process.stdout.write(`${jsonText(event)}\n`);
        else await tell(event);
      };
      for (const event of events) await show(event);
      const stop = new AbortController();
      process.once("SIGINT", () => {
        stop.abort();
        process.exit(EXIT.ok);
      });
      const app = await context.api.call(App, "GET", appPath(name));
      for await (const event of context.api.events(app.id, events.at(-1)?.seq ?? 0, stop.signal)) await show(event);
    });
}
