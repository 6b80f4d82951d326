// Secrets of Workers, one at a time, as "Workers Secrets" of the published API has them: set, listed, taken away, never shown.
import { z } from "zod";
import { done, Refused, type Endpoint } from "./contract.ts";
import { scriptOf } from "./workers.ts";

const ALL = "/accounts/{account}/workers/scripts/{script}/secrets";
const Secret = z.strictObject({
  name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/),
  text: z.string().min(1).max(5_120),
  type: z.literal("secret_text"),
});

export const secretEndpoints: Endpoint[] = [
  {
    method: "GET",
    path: ALL,
    permission: "Workers Scripts",
    answer: (call) => done([...scriptOf(call).secrets.keys()].map(shown)),
  },
  {
    method: "PUT",
    path: ALL,
    permission: "Workers Scripts",
    body: Secret,
    answer(call) {
      const { name, text } = call.body as z.infer<typeof Secret>;
      const script = scriptOf(call);
      const taken = script.bindings.find((one) => one.name === name && one.type !== "secret_text");
      if (taken !== undefined) throw new Refused(400, 10_053, `Binding name '${name}' already in use.`);
      if (!script.bindings.some((one) => one.name === name)) script.bindings.push(shown(name));
      script.secrets.set(name, text);
      return done(shown(name));
    },
  },
  {
    method: "DELETE",
    path: `${ALL}/{secret}`,
    permission: "Workers Scripts",
    answer(call) {
      const script = scriptOf(call);
      const name = call.params.secret ?? "";
      if (!script.secrets.delete(name)) throw new Refused(404, 10_056, "Binding not found.");
      script.bindings = script.bindings.filter((one) => one.name !== name);
      return done(null);
    },
  },
];

const shown = (name: string) => ({ name, type: "secret_text" });
