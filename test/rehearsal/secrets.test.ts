/** The search for secrets must find them in every format that a deployment writes. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { Secrets } from '../../rehearsal/sandbox/secrets.ts';
import { whyNoTerraform } from '../support/terraform.ts';

const secret = 'Canary+of/the"client=secret-7';
const noTerraform = await whyNoTerraform();

const folder = mkdtempSync(path.join(os.tmpdir(), 'llama-secrets-'));
afterAll(() => rmSync(folder, { recursive: true }));

function secrets(): Secrets {
  const all = new Secrets();
  all.add('the client secret', secret);
  return all;
}

describe('the search for secrets', () => {
  it.each([
    ['as plain text', `password=${secret};`],
    ['inside JSON', JSON.stringify({ value: secret })],
    ['inside a URL', `postgresql://user:${encodeURIComponent(secret)}@host/database`],
    ['in base64', Buffer.from(secret).toString('base64')],
    ['in base64, one byte in', Buffer.from(`x${secret} and more`).toString('base64')],
    ['in base64, two bytes in', Buffer.from(`xy${secret} and more`).toString('base64')],
    ['in binary data', Buffer.concat([Buffer.from([0, 255, 254]), Buffer.from(secret)])],
    ['in gzip', gzipSync(`password=${secret}`)],
    ['in gzip in base64 in a document', JSON.stringify({ data: gzipSync(secret).toString('base64') })],
    ['in gzip in an archive', archive('body.gz', gzipSync(secret))],
    ['compressed in an archive', archive('tfstate', `{"password": ${JSON.stringify(secret)}}`)],
  ])('finds one %s', (_, content) => {
    expect(secrets().search('a state', content)).toEqual([{ what: 'the client secret', where: 'a state' }]);
  });

  it('finds each of several secrets, at the start and at the end of a text, also one that ends like another', () => {
    const all = secrets();
    all.add('a token', `token-${secret}`);
    all.add('a password', 'pass-word');
    expect(all.search('output', `token-${secret} pass-word`).map(({ what }) => what)).toEqual([
      'the client secret',
      'a token',
      'a password',
    ]);
    expect(all.search('output', `${secret}.`).map(({ what }) => what)).toEqual(['the client secret']);
    expect(all.search('output', 'token-client=secret-7')).toEqual([]);
  });

  it('finds nothing in text and archives without a secret', () => {
    const all = secrets();
    expect(all.search('a state', 'the client secret')).toEqual([]);
    expect(all.search('a plan', archive('tfstate', '{"password": null}'))).toEqual([]);
  });

  it('searches data that only begins like gzip as plain data', () => {
    const broken = Buffer.concat([gzipSync('nothing').subarray(0, 6), Buffer.from(secret)]);
    expect(secrets().search('a file', broken)).toHaveLength(1);
    expect(secrets().search('a file', broken.subarray(0, 8))).toEqual([]);
  });

  it('refuses a value that would match by chance', () => {
    expect(() => secrets().add('a pin', '1234')).toThrow('too short');
  });

  it('finds one in the state and in the plan file of a real Terraform', ({ skip }) => {
    skip(noTerraform !== undefined, noTerraform);
    const stack = {
      resource: { terraform_data: { careless: { input: secret } } },
    };
    writeFileSync(path.join(folder, 'main.tf.json'), JSON.stringify(stack));
    const { TF_CLI_CONFIG_FILE: _, ...environment } = process.env;
    const terraform = (...parameters: string[]) =>
      execFileSync('terraform', parameters, {
        cwd: folder,
        env: { ...environment, CHECKPOINT_DISABLE: '1' },
      });
    terraform('init');
    terraform('plan', '-out=plan');
    const plan = readFileSync(path.join(folder, 'plan'));
    expect(plan.includes(secret)).toBe(false);
    expect(secrets().search('the plan', plan)).toHaveLength(1);
    terraform('apply', 'plan');
    expect(secrets().search('the state', readFileSync(path.join(folder, 'terraform.tfstate')))).toHaveLength(
      1,
    );
  });
});

/** A zip archive of one file; Terraform's plan is an archive of several. */
function archive(name: string, content: string | Buffer): Buffer {
  const data = deflateRawSync(content);
  const local = Buffer.alloc(30 + name.length);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(8, 8);
  local.writeUInt32LE(data.length, 18);
  local.writeUInt16LE(name.length, 26);
  local.write(name, 30);
  const central = Buffer.alloc(46 + name.length);
  central.writeUInt32LE(0x02014b50, 0);
  central.writeUInt16LE(8, 10);
  central.writeUInt32LE(data.length, 20);
  central.writeUInt16LE(name.length, 28);
  central.write(name, 46);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length + data.length, 16);
  return Buffer.concat([local, data, central, end]);
}
