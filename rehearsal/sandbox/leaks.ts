/** Searches everything that a rehearsal's deployments left for secrets. */
import { privateParts } from '../../local/azure/providers/key-vault/data.ts';
import type { BlobVersion } from '../../local/azure/providers/storage-blobs.ts';
import type { DeployRun } from '../terraform/deployer.ts';
import type { Leak, Secrets } from './secrets.ts';
import type { Testbed } from './testbed.ts';

/**
 * Searches files, current blobs and their metadata, output of runs, and the log of every server, including deleted
 * ones.
 *
 * @param versions search earlier versions of blobs as well. @default true
 */
export async function leaksOf(
  { azure, project, logs }: Testbed,
  runs: readonly { readonly name: string; readonly run: DeployRun }[],
  secrets: Secrets,
  { versions = true }: { readonly versions?: boolean } = {},
): Promise<readonly Leak[]> {
  for (const [id, key] of azure.sharedKeys) secrets.add(`the shared key of ${id}`, key);
  for (const [id, pem] of privateParts(azure.azure)) {
    // However the PEM text is wrapped, some of its lines survive unchanged.
    const lines = pem.split('\n').filter((line) => !line.startsWith('-') && line.length > 40);
    for (const [index, line] of lines.entries())
      secrets.add(`line ${index + 1} of the private part of key ${id}`, line);
  }
  const blobs = azure.blobs.list().flatMap(([name, blob]) => contentsOf(`blob ${name}`, blob));
  const earlier = versions
    ? azure.blobs
        .versions()
        .flatMap(([name, all]) =>
          all.flatMap((version, index) => contentsOf(`version ${index + 1} of blob ${name}`, version)),
        )
    : [];
  const searched: (readonly [string, string | Buffer])[] = [
    ...(await project.artefacts()),
    ...blobs,
    ...earlier,
    ...runs.map(({ name, run }, index) => [`the output of ${name} (${index + 1})`, run.output] as const),
    ...logs.map(([server, log]) => [`the log of ${server}`, log] as const),
    ['the operations of the local Azure', JSON.stringify(azure.operations)],
  ];
  return searched.flatMap(([where, content]) => secrets.search(where, content));
}

function contentsOf(where: string, { content, metadata }: BlobVersion): [string, string | Buffer][] {
  return [
    [where, content],
    [`metadata of ${where}`, JSON.stringify(metadata)],
  ];
}
