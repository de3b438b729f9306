import { open, type Row, withPassword } from './row.ts';

const digest = 'a'.repeat(64);
const identity = (name: string) =>
  `/subscriptions/3c9a1f52-60d4-4f0e-9d2b-5b7c1a8e4f10/resourceGroups/pipeline-rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;

/** Settings that every rule accepts, in the networks of the base settings. */
export const job = (range: string) => ({
  name: 'post-deploy',
  subnet: { name: 'post-deploy', range },
  image: `complyai.azurecr.io/post-deploy@sha256:${digest}`,
  identityId: identity('post-deploy'),
});
const own = (field: string, value: unknown) => ({
  // A new one for each row: the second change is made in the first.
  change: { postDeployJob: job('10.30.9.0/27'), [`postDeployJob.${field}`]: value },
  field: `postDeployJob.${field}`,
  value,
});
const networks = /virtual-networks-faq/;

export const jobRows: readonly Row[] = [
  {
    what: 'a job for public servers',
    id: 'job/private-server',
    from: open,
    change: { postDeployJob: job('10.10.9.0/27') },
    value: 'post-deploy',
    source: /decisions/,
  },
  {
    what: 'a job beside password login',
    id: 'job/entra-login',
    from: withPassword,
    change: { postDeployJob: job('10.10.9.0/27') },
    field: 'server.authentication.passwordLogin',
    value: true,
    source: /decisions/,
  },
  ...[
    'complyai.azurecr.io/post-deploy:1.0',
    'complyai.azurecr.io/post-deploy',
    `complyai.azurecr.io/post-deploy:1.0@sha256:${digest}`,
    `docker.io/complyai/post-deploy@sha256:${digest}`,
    `complyai.azurecr.io/post-deploy@sha256:${digest.slice(1)}`,
  ].map((image) => ({
    what: `the image ${image.slice(0, 48)}`,
    id: 'job/image-by-digest' as const,
    ...own('image', image),
    source: /managed-identity-image-pull/,
  })),
  {
    what: 'an identity by its name',
    id: 'job/identity-id',
    ...own('identityId', 'post-deploy'),
    source: /managed-identity/,
  },
  ...[0, 0.3, 4.25].map((cpu) => ({
    what: `a job with ${cpu} vCores`,
    id: 'job/cpu' as const,
    ...own('cpu', cpu),
    says: /0\.25 to 4/,
    source: /container-apps/,
  })),
  ...[4, 1441].map((minutes) => ({
    what: `a job of ${minutes} minutes`,
    id: 'job/timeout' as const,
    ...own('timeoutMinutes', minutes),
    says: /5 to 1440/,
    source: /decisions/,
  })),
  {
    what: 'a job with a name that Azure refuses',
    id: 'names/post-deploy-job',
    ...own('name', 'Post--Deploy'),
    source: /resource-name-rules/,
  },
  {
    what: 'a subnet of a job that is too small',
    id: 'network/job-subnet-size',
    ...own('subnet.range', '10.30.9.0/28'),
    says: /\/27 or larger/,
    source: /custom-virtual-networks/,
  },
  {
    what: 'a subnet of a job that overlaps the endpoints',
    id: 'network/subnets-apart',
    ...own('subnet.range', '10.30.1.0/27'),
    source: networks,
  },
  {
    what: 'a subnet of a job in another network',
    id: 'network/subnet-inside',
    ...own('subnet.range', '10.99.9.0/27'),
    source: networks,
  },
  {
    what: 'an existing subnet of a job in a network that the stack creates',
    id: 'network/existing-subnet',
    ...own('subnet.existing', true),
    source: /decisions/,
  },
];
