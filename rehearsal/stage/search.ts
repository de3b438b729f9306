/** Where a rehearsal looks for secrets: in everything that its deployments left, wherever that is. */
import { privateParts } from '../azure/key-vault-data.ts';
import type { Leak, Secrets } from '../secrets.ts';
import type { DeployRun } from '../terraform/deployer.ts';
import type { Scenery } from './scenery.ts';

/** Secrets in files, blobs, output, and the servers' logs. */
export async function leaksOf(
  { azure, project, postgres }: Scenery,
  runs: readonly { readonly name: string; readonly run: DeployRun }[],
  secrets: Secrets,
): Promise<readonly Leak[]> {
  for (const [id, key] of azure.sharedKeys) secrets.add(`the shared key of ${id}`, key);
  for (const [id, pem] of privateParts(azure.azure)) {
    // However the text is wrapped, some line of it stands somewhere as it is.
    const lines = pem.split('\n').filter((line) => !line.startsWith('-') && line.length > 40);
    for (const [index, line] of lines.entries())
      secrets.add(`line ${index + 1} of the private part of key ${id}`, line);
  }
  const blobs = azure.blobs.list().flatMap(([name, { content, metadata }]): [string, string | Buffer][] => [
    [`blob ${name}`, content],
    [`metadata of blob ${name}`, JSON.stringify(metadata)],
  ]);
  const said = runs.map(({ name, run }, index): [string, string] => [
    `the output of ${name} (${index + 1})`,
    run.output,
  ]);
  const searched: (readonly [string, string | Buffer])[] = [
    ...(await project.artefacts()),
    ...blobs,
    ...said,
    ['the log of PostgreSQL', postgres.log()],
    ['the local Azure’s operations', JSON.stringify(azure.operations)],
  ];
  return searched.flatMap(([where, content]) => secrets.search(where, content));
}
