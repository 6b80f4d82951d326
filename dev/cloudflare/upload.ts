// A Worker's upload: one form with a JSON part `metadata` and a part for each module, checked before anything is kept.
import { z } from "zod";
import { Refused, type Call } from "./contract.ts";

const Metadata = z.looseObject({
  main_module: z.string(),
  compatibility_date: z.iso.date(),
  compatibility_flags: z.array(z.string()).default([]),
  bindings: z.array(z.looseObject({ type: z.string(), name: z.string() })).default([]),
  keep_bindings: z.array(z.string()).optional(),
  limits: z.looseObject({ cpu_ms: z.int().optional() }).optional(),
  migrations: z
    .looseObject({
      old_tag: z.string().optional(),
      new_tag: z.string(),
      steps: z.array(z.looseObject({ new_sqlite_classes: z.array(z.string()).default([]) })),
    })
    .optional(),
});
export type Upload = z.infer<typeof Metadata>;

const PAID = /workers/i;

export async function readUpload({ form, account }: Call): Promise<Upload> {
  const part = form?.get("metadata");
  const text = part instanceof Blob ? await part.text() : part;
  const parsed = Metadata.safeParse(JSON.parse(text ?? "null"));
  if (!parsed.success) throw new Refused(400, 10_021, `metadata: ${z.prettifyError(parsed.error)}`);
  const upload = parsed.data;
  const main = form?.get(upload.main_module);
  if (!(main instanceof Blob) || main.size === 0)
    throw new Refused(400, 10_021, `The main module ${upload.main_module} is missing.`);
  if (upload.limits !== undefined && !account.ratePlans.some((plan) => PAID.test(plan)))
    throw new Refused(400, 100_328, "CPU limits are not supported for the Free plan.");
  return upload;
}
