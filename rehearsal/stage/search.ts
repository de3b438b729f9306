/** Where a rehearsal looks for secrets: in everything that its deployments left, wherever that is. */
import { privateParts } from '../../local/azure/providers/key-vault/data.ts';
import type { BlobVersion } from '../../local/azure/providers/storage-blobs.ts';
import type { Leak, Secrets } from '../secrets.ts';
import type { DeployRun } from '../terraform/deployer.ts';
import type { Scenery } from './scenery.ts';

/** Secrets in files, blobs as they are and once were, output, and the log of every server, deleted ones included. */
export async function leaksOf(
  { azure, project, behind }: Scenery,
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
  const blobs = azure.blobs.list().flatMap(([name, blob]) => contentsOf(`blob ${name}`, blob));
  const earlier = azure.blobs
    .versions()
    .flatMap(([name, versions]) =>
      versions.flatMap((version, index) => contentsOf(`version ${index + 1} of blob ${name}`, version)),
    );
  const said = runs.map(({ name, run }, index): [string, string] => [
    `the output of ${name} (${index + 1})`,
    run.output,
  ]);
  const searched: (readonly [string, string | Buffer])[] = [
    ...(await project.artefacts()),
    ...blobs,
    ...earlier,
    ...said,
    ...behind.logs().map(([server, log]) => [`the log of ${server}`, log] as const),
    ['the local Azure’s operations', JSON.stringify(azure.operations)],
  ];
  return searched.flatMap(([where, content]) => secrets.search(where, content));
}

function contentsOf(where: string, { content, metadata }: BlobVersion): [string, string | Buffer][] {
  return [
    [where, content],
    [`metadata of ${where}`, JSON.stringify(metadata)],
  ];
}
