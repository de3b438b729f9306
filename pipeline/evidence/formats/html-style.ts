/** The style sheet of the page: light or dark by the reader's system, and for print. */
export const style = `
:root{color-scheme:light dark;--ground:#fff;--sheet:#f6f7f9;--ink:#1a1f27;--soft:#566070;--line:#d9dde3;--link:#0b57d0;
--bad:#b3261e;--bad-ground:#fdeceb;--warn:#855000;--warn-ground:#fff4e0;--good:#17693a;--good-ground:#e7f5ec;--ask:#4a3fa5;--ask-ground:#eeedfb;--none:#566070;--none-ground:#eceef1}
@media(prefers-color-scheme:dark){:root{--ground:#12151a;--sheet:#1b2027;--ink:#e7eaee;--soft:#a3acb9;--line:#343b46;--link:#9ac0ff;
--bad:#ff9d94;--bad-ground:#3a1b19;--warn:#ffc670;--warn-ground:#38290f;--good:#86d9a5;--good-ground:#15301f;--ask:#c0b8ff;--ask-ground:#262147;--none:#a3acb9;--none-ground:#2a303a}}
*{box-sizing:border-box}[hidden]{display:none!important}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:64rem;padding:2rem 1.25rem 3rem;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.2;margin:.1rem 0 .3rem}h2{font-size:1.25rem;margin:2.5rem 0 .75rem}h3{font-size:1.05rem;line-height:1.4;margin:0}
p{margin:.3rem 0}a{color:var(--link)}a:focus-visible,input:focus-visible,select:focus-visible,button:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:.2rem}
h3 a{text-decoration:none}code{font:.86em ui-monospace,SFMono-Regular,Consolas,monospace}
.soft{color:var(--soft)}.small{font-size:.88rem}.kicker{color:var(--soft);font-size:.85rem;letter-spacing:.06em;text-transform:uppercase;margin:0}
.draft{background:var(--warn-ground);color:var(--warn);padding:.6rem .8rem;border-radius:.5rem}
.headline{font-size:1.2rem;font-weight:700;margin:1.2rem 0 .5rem;text-wrap:balance}
.bar{display:flex;gap:2px;height:.7rem;border-radius:.35rem;overflow:hidden}.bar span{min-width:.35rem;background:var(--tone)}
.violated{--tone:var(--bad);--tone-ground:var(--bad-ground)}.not-collected,.waived{--tone:var(--warn);--tone-ground:var(--warn-ground)}
.no-tool-sees-it{--tone:var(--ask);--tone-ground:var(--ask-ground)}.holds{--tone:var(--good);--tone-ground:var(--good-ground)}.not-applicable{--tone:var(--none);--tone-ground:var(--none-ground)}
.badge{display:inline-block;white-space:nowrap;font-size:.8rem;font-weight:600;padding:.05rem .55rem;border-radius:1rem;background:var(--tone-ground);color:var(--tone);border:1px solid currentColor}
.key{display:flex;flex-wrap:wrap;gap:.4rem 1rem;list-style:none;padding:0;margin:.7rem 0 0}
dl{display:grid;grid-template-columns:8rem 1fr;gap:.3rem 1rem;margin:0}dt{color:var(--soft)}dd{margin:0}
form{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:.6rem 1rem;align-items:end;background:var(--sheet);border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1rem;margin:1.5rem 0 .5rem}
form label{font-size:.85rem;color:var(--soft)}input[type=search],select{display:block;font:inherit;color:var(--ink);background:var(--ground);border:1px solid var(--line);border-radius:.35rem;padding:.35rem .5rem;min-height:2.4rem}
input[type=search]{width:16rem;max-width:100%}fieldset{border:0;padding:0;margin:0;display:flex;flex-wrap:wrap;gap:.2rem .9rem}legend{font-size:.85rem;color:var(--soft);padding:0}
.choice{display:inline-flex;gap:.35rem;align-items:center;min-height:1.9rem;color:var(--ink)}button{font:inherit;padding:.35rem .8rem;min-height:2.4rem;border:1px solid var(--line);border-radius:.35rem;background:var(--ground);color:var(--ink);cursor:pointer}
article{border:1px solid var(--line);border-left:.35rem solid var(--tone);border-radius:.6rem;padding:.9rem 1.1rem;margin:.8rem 0;background:var(--sheet);scroll-margin-top:9rem}
.mapped{display:flex;flex-wrap:wrap;gap:.2rem 1rem;list-style:none;padding:0;margin:.5rem 0;font-size:.85rem;color:var(--soft)}.mapped b{font-weight:600}
.rows{list-style:none;padding:0;margin:.6rem 0 0}.rows li{display:grid;align-items:start;grid-template-columns:minmax(10rem,17rem) 1fr 9rem;gap:.2rem 1rem;padding:.5rem 0;border-top:1px solid var(--line);font-size:.92rem}
.rows .badge{justify-self:end}.kind{display:inline-block;font-size:.75rem;color:var(--soft);border:1px solid var(--line);border-radius:.3rem;padding:0 .35rem;margin-right:.2rem}
.facts>*{margin-right:.6rem}.place{display:block;color:var(--soft)}.value code{font-weight:600;background:var(--ground);border:1px solid var(--line);border-radius:.25rem;padding:0 .3rem}
.waiver{display:block;color:var(--warn)}.facts time{display:block;font-size:.84rem}.plain{list-style:none;padding:0}.plain li{margin:.5rem 0}.plain span{display:block}
footer{border-top:1px solid var(--line);margin-top:3rem;padding-top:1rem;font-size:.9rem;color:var(--soft)}
@media(max-width:44rem){body{padding:1.25rem 1rem 2rem}form{position:static}article{padding:.8rem .85rem;scroll-margin-top:1rem}.rows li{grid-template-columns:1fr}.rows .badge{justify-self:start}dl{grid-template-columns:1fr;gap:0}dt{margin-top:.5rem}input[type=search],select,form label{width:100%}.choice{width:auto!important}}
@media print{:root{--ground:#fff;--sheet:#fff;--ink:#000;--soft:#444;--line:#bbb}body{max-width:none;padding:0;font-size:9.5pt}form,#shown{display:none}article,.rows li{break-inside:avoid}.bar,.badge{print-color-adjust:exact;-webkit-print-color-adjust:exact}}`;
