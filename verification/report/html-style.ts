/** The style sheet of the page: light or dark by the reader's system, and for print. */
export const style = `
:root{color-scheme:light dark;--ground:#fff;--sheet:#f6f7f9;--ink:#1a1f27;--soft:#596271;--line:#d9dde3;
--bad:#b3261e;--bad-ground:#fdeceb;--warn:#8a5200;--warn-ground:#fff4e0;--good:#17693a;--good-ground:#e7f5ec;--link:#0b57d0;--bar-skip:#a9b1bd}
@media(prefers-color-scheme:dark){:root{--ground:#12151a;--sheet:#1b2027;--ink:#e7eaee;--soft:#a3acb9;--line:#343b46;
--bad:#ff9d94;--bad-ground:#3a1b19;--warn:#ffc670;--warn-ground:#38290f;--good:#86d9a5;--good-ground:#15301f;--link:#9ac0ff;--bar-skip:#5b6472}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:56rem;padding:2rem 1.25rem 3rem;background:var(--ground);color:var(--ink);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:.1rem 0 .3rem}
h2{font-size:1.25rem;margin:2.75rem 0 .75rem;scroll-margin-top:1rem}
h3{font-size:1.05rem;line-height:1.4;margin:0}
p{margin:.25rem 0}ul{margin:.4rem 0;padding-left:1.2rem}li{margin:.15rem 0}
a{color:var(--link)}a:focus-visible,summary:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:.2rem}
code{font:.86em ui-monospace,SFMono-Regular,Consolas,monospace}
.soft{color:var(--soft);font-weight:400}.kicker{color:var(--soft);font-size:.85rem;letter-spacing:.06em;text-transform:uppercase;margin:0}
.verdict{display:flex;gap:1rem;align-items:flex-start;padding:1.1rem 1.25rem;border-radius:.75rem;margin:1.5rem 0 1.25rem}
.verdict .headline{font-size:1.35rem;font-weight:700;line-height:1.3;margin:0 0 .2rem}
.mark{flex:none;width:2.2rem;height:2.2rem;border-radius:50%;display:grid;place-items:center;font-weight:700;font-size:1.2rem;color:var(--ground)}
.bad{background:var(--bad-ground)}.bad .headline{color:var(--bad)}.bad .mark{background:var(--bad)}
.warn{background:var(--warn-ground)}.warn .headline{color:var(--warn)}.warn .mark{background:var(--warn)}
.good{background:var(--good-ground)}.good .headline{color:var(--good)}.good .mark{background:var(--good)}
.bar{display:flex;gap:2px;height:.6rem;border-radius:.3rem;overflow:hidden}.bar span{min-width:.35rem}
.bar .passed{background:var(--good)}.bar .failed{background:var(--bad)}.bar .skipped{background:var(--bar-skip)}
.key{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;list-style:none;padding:0;margin:.5rem 0 0}
.key li::before{content:"";display:inline-block;width:.7rem;height:.7rem;border-radius:.15rem;margin-right:.45rem;background:var(--bar-skip)}
.key .passed::before{background:var(--good)}.key .failed::before{background:var(--bad)}
nav{display:flex;flex-wrap:wrap;gap:.3rem 1.25rem;margin-top:1.1rem}
article{background:var(--sheet);border:1px solid var(--line);border-left:.35rem solid var(--warn);border-radius:.6rem;padding:1rem 1.15rem;margin:.9rem 0}
article.critical,article.high{border-left-color:var(--bad)}article.low{border-left-color:var(--bar-skip)}
.badge{display:inline-block;font-size:.75rem;font-weight:700;text-transform:uppercase;letter-spacing:.04em;padding:.05rem .5rem;border-radius:1rem;
background:var(--warn-ground);color:var(--warn);border:1px solid currentColor;vertical-align:.1em}
.critical .badge,.high .badge{background:var(--bad-ground);color:var(--bad)}.low .badge{background:none;color:var(--soft)}
dl{display:grid;grid-template-columns:8.5rem 1fr;gap:.35rem 1rem;margin:.8rem 0 0}dt{color:var(--soft)}dd{margin:0}
.origin{font-size:.9rem;margin:.6rem 0 0;gap:.1rem 1rem}
article .state{color:var(--warn)}article.critical .state,article.high .state{color:var(--bad)}.where{font-size:1.02rem;margin:0 0 .15rem}
h1{text-wrap:balance}
.reason{border-left:.25rem solid var(--bar-skip);padding:.1rem 0 .1rem .9rem;margin:.9rem 0}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.5rem .6rem;border-bottom:1px solid var(--line)}
thead th{font-size:.85rem;color:var(--soft);font-weight:600}.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td.none{color:var(--soft)}td.failed{color:var(--bad);font-weight:700}tbody th span{display:block;font-size:.9rem}
details{border-bottom:1px solid var(--line)}.reason details{border:0}summary{cursor:pointer;padding:.45rem 0;font-weight:600}.reason summary{font-weight:400;color:var(--soft);padding:.1rem 0}
.plain{list-style:none;padding:0 0 .6rem}.plain li{margin:.45rem 0}.inspected{display:block;font-size:.9rem}
footer{border-top:1px solid var(--line);margin-top:3rem;padding-top:1rem;font-size:.9rem;color:var(--soft)}
@media(max-width:36rem){body{padding:1.25rem 1rem 2rem}h1{font-size:1.3rem}.verdict{padding:1rem;gap:.75rem}.verdict .headline{font-size:1.15rem}
dl{grid-template-columns:1fr;gap:0}dt{margin-top:.5rem}th,td{padding:.45rem .35rem}tbody th span{font-size:.82rem}}
@media print{:root{--ground:#fff;--sheet:#fff;--ink:#000;--soft:#444;--line:#bbb;--bad:#9a1b14;--bad-ground:#fff;--warn:#6b4000;--warn-ground:#fff;--good:#0f5a2e;--good-ground:#fff}
body{max-width:none;padding:0;font-size:10.5pt}nav{display:none}article,.reason,tr{break-inside:avoid}h2,h3{break-after:avoid}.verdict{border:1pt solid #888}
.bar,.mark{-webkit-print-color-adjust:exact;print-color-adjust:exact}summary{list-style:none}details::details-content{content-visibility:visible;block-size:auto}}`;
