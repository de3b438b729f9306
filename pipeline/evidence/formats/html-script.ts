/** The script of the page: filters, and the open control of the address. Its hash is in the page's policy. */
export const script = `
const form = document.getElementById('filters');
const articles = [...document.querySelectorAll('article')];
const texts = new Map(articles.map((one) => [one, one.textContent.toLowerCase()]));
const query = document.getElementById('query');
const framework = document.getElementById('framework');
function apply() {
  const words = query.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const wanted = new Set([...form.querySelectorAll('[name=verdict]:checked')].map((one) => one.value));
  let count = 0;
  for (const one of articles) {
    const shown = wanted.has(one.dataset.verdict)
      && (framework.value === '' || one.dataset.frameworks.split(' ').includes(framework.value))
      && words.every((word) => texts.get(one).includes(word));
    one.hidden = !shown;
    if (shown) count += 1;
  }
  for (const family of document.querySelectorAll('.family'))
    family.hidden = !family.querySelector('article:not([hidden])');
  document.getElementById('shown').textContent = count + ' of ' + articles.length + ' controls shown';
}
form.hidden = false;
form.addEventListener('input', apply);
form.addEventListener('submit', (event) => event.preventDefault());
form.addEventListener('reset', () => setTimeout(apply));
addEventListener('hashchange', () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.closest('[hidden]')) { form.reset(); setTimeout(() => target.scrollIntoView(), 10); }
});
apply();
`;
