/**
 * `bom.cdx.json`: what deploys, as a CycloneDX 1.7 bill of materials: the npm packages of a pipeline machine, from the lock
 * file, and the Terraform providers, from the stack. Packages for development are left out.
 */
import { isObject, type Json, type JsonObject, objectAt, parseJson, textAt } from '../../../core/json.ts';
import type { Report } from '../report.ts';
import { uuid5 } from '../uuid.ts';

interface Component {
  readonly ref: string;
  readonly path: string;
  readonly block: JsonObject;
  readonly name: string;
}

/**
 * @param lock text of `package-lock.json` (lockfileVersion 3)
 * @param stack the synthesized stack
 */
export function cyclonedxOf(report: Report, lock: string, stack: Json) {
  const packages = objectAt(parseJson(lock), 'packages');
  const components = componentsOf(packages);
  const providers = providersOf(stack);
  const root = objectAt(packages, '');
  const name = textAt(root, 'name') ?? 'project';
  const rootRef = `pkg:npm/${encodeURIComponent(name)}@${textAt(root, 'version') ?? '0.0.0'}`;
  const byPath = new Map(components.map((one) => [one.path, one]));
  // One package may be installed in several folders, where its dependencies may have different versions.
  const places = new Map<string, Component[]>();
  for (const one of components) places.set(one.ref, [...(places.get(one.ref) ?? []), one]);
  const refsOf = (path: string, block: JsonObject) =>
    Object.keys({ ...objectAt(block, 'dependencies'), ...objectAt(block, 'optionalDependencies') })
      .flatMap((dependency) => resolved(byPath, packages, path, dependency)?.ref ?? [])
      .sort();
  const providerRefs = providers.map((one) => one['bom-ref']);
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.7.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.7',
    serialNumber: `urn:uuid:${uuid5('bom', report.environment, report.commit.hash, ...report.commit.changed)}`,
    version: 1,
    metadata: {
      timestamp: report.commit.time,
      component: {
        type: 'application',
        'bom-ref': rootRef,
        name,
        version: textAt(root, 'version') ?? '0.0.0',
        purl: rootRef,
        properties: [
          { name: 'llama-db:commit', value: report.commit.hash },
          { name: 'llama-db:environment', value: report.environment },
        ],
      },
    },
    components: [...[...places.values()].flatMap(([one]) => (one ? [componentOf(one)] : [])), ...providers],
    dependencies: [
      { ref: rootRef, dependsOn: [...new Set([...refsOf('', root), ...providerRefs])] },
      ...[...places].map(([ref, installed]) => ({
        ref,
        dependsOn: [...new Set(installed.flatMap(({ path, block }) => refsOf(path, block)))].sort(),
      })),
      ...providerRefs.map((ref) => ({ ref })),
    ],
  };
}

function componentsOf(packages: JsonObject): readonly Component[] {
  const found = new Map<string, Component>();
  for (const [path, block] of Object.entries(packages)) {
    const at = path.lastIndexOf('node_modules/');
    if (at < 0 || !isObject(block) || block['dev'] === true) continue;
    const target = block['link'] === true ? objectAt(packages, textAt(block, 'resolved') ?? '') : block;
    // A package under an alias has its own name beside it.
    const name = textAt(target, 'name') ?? path.slice(at + 'node_modules/'.length);
    const version = textAt(target, 'version') ?? '0.0.0';
    const ref = `pkg:npm/${name.startsWith('@') ? `%40${name.slice(1)}` : name}@${version}`;
    found.set(path, { ref, path, block: target, name });
  }
  return [...found.values()];
}

/** Node.js looks in the package's own folder first, then in each folder above. */
function resolved(
  byPath: ReadonlyMap<string, Component>,
  packages: JsonObject,
  from: string,
  dependency: string,
): Component | undefined {
  for (let folder = from; ; ) {
    const found = byPath.get(`${folder === '' ? '' : `${folder}/`}node_modules/${dependency}`);
    if (found || folder === '') return found;
    const at = folder.lastIndexOf('/node_modules/');
    folder = at < 0 ? '' : folder.slice(0, at);
    if (!(folder in packages) && folder !== '') folder = '';
  }
}

function componentOf({ ref, name, block }: Component) {
  const [group, plain] = name.startsWith('@') ? name.split('/') : [undefined, name];
  const license = textAt(block, 'license');
  const integrity = textAt(block, 'integrity');
  const url = textAt(block, 'resolved');
  return {
    type: 'library',
    'bom-ref': ref,
    ...(group === undefined ? {} : { group }),
    name: plain ?? name,
    version: textAt(block, 'version') ?? '0.0.0',
    scope: block['optional'] === true ? 'optional' : 'required',
    ...(integrity?.startsWith('sha512-')
      ? { hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.slice(7), 'base64').toString('hex') }] }
      : {}),
    ...(license === undefined ? {} : { licenses: [{ license: { name: license } }] }),
    purl: ref,
    ...(url?.startsWith('https://') ? { externalReferences: [{ type: 'distribution', url }] } : {}),
  };
}

/** Terraform providers with their exact versions. */
function providersOf(stack: Json) {
  return Object.entries(objectAt(stack, 'terraform', 'required_providers')).map(([name, block]) => {
    const source = textAt(block, 'source') ?? name;
    const [namespace, type] = source.includes('/') ? source.split('/').slice(-2) : ['hashicorp', source];
    const version = textAt(block, 'version') ?? 'unknown';
    const purl = `pkg:github/${namespace}/terraform-provider-${type}@v${version}`;
    return {
      type: 'application',
      'bom-ref': purl,
      group: namespace ?? 'hashicorp',
      name: `terraform-provider-${type}`,
      version,
      scope: 'required',
      purl,
      properties: [{ name: 'llama-db:kind', value: 'terraform provider' }],
    };
  });
}
