// Objects whose methods fall over when a test says so: before they did anything, or after, when only the answer is lost.
import { recorded } from "./recorded.ts";

type Method = (...input: unknown[]) => Promise<unknown>;

/** Overrides the methods in place of a subclass, so that the class stays the one under test. */
export function letFail<Class extends { readonly name: string; readonly prototype: object }>(
  objectClass: Class,
  methods: readonly (keyof Class["prototype"] & string)[],
): Class {
  const prototype = objectClass.prototype as Record<string, Method>;
  for (const name of methods) {
    const real = prototype[name];
    if (real === undefined) throw new Error(`no method ${name}`);
    prototype[name] = async function (this: unknown, ...input: unknown[]): Promise<unknown> {
      recorded.calls.push({ method: `${objectClass.name}.${name}`, input: input[0] });
      const failure = recorded.failing.get(`${objectClass.name}.${name}`);
      if (failure !== undefined) recorded.failed.push(`${objectClass.name}.${name}`);
      if (failure === "before") throw new Error(`${name} fell over`);
      const answer = await real.apply(this, input);
      if (failure === "after") throw new Error(`the answer of ${name} was lost`);
      return answer;
    };
  }
  return objectClass;
}
