// Clips of one group ([data-group]) play in step: the first one's clock rules. The others run a little faster or slower until
// they show the same moment; who is far off is set right at once.
// a clip shown twice is in the page once
document.querySelectorAll("video[data-copy]").forEach((video) => {
  video.src = video.closest("[data-group]").querySelectorAll("video")[Number(video.dataset.copy)].src;
});

const groups = [...document.querySelectorAll("[data-group]")].map((element) => [...element.querySelectorAll("video")]);
let playing = true;
let speed = 1;
const all = (action) => groups.forEach((videos) => videos.forEach(action));

function follow() {
  for (const [leader, ...others] of groups) {
    if (!leader) continue;
    for (const video of others) {
      let ahead = leader.currentTime - video.currentTime;
      // who has begun again is not a whole round behind
      if (leader.duration) ahead -= leader.duration * Math.round(ahead / leader.duration);
      if (Math.abs(ahead) > (leader.paused ? 0.005 : 0.12)) video.currentTime = leader.currentTime;
      else video.playbackRate = speed * (1 + Math.max(-0.25, Math.min(0.25, 6 * ahead)));
      if (video.paused !== leader.paused) leader.paused ? video.pause() : video.play().catch(() => {});
    }
  }
  requestAnimationFrame(follow);
}

// only what is on screen plays: a page may hold a hundred clips
const watch = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.dataset.seen = isIntersecting ? "yes" : "";
    const leader = target.querySelector("video");
    if (!leader) continue;
    if (isIntersecting && playing) leader.play().catch(() => {}); else leader.pause();
  }
}, { rootMargin: "200px" });
document.querySelectorAll("[data-group]").forEach((element) => watch.observe(element));
requestAnimationFrame(follow);

document.querySelector("#play")?.addEventListener("click", ({ target }) => {
  playing = !playing;
  target.textContent = playing ? "Pause" : "Play";
  document.querySelectorAll("[data-group][data-seen=yes]").forEach((element) => {
    const leader = element.querySelector("video");
    playing ? leader.play().catch(() => {}) : leader.pause();
  });
});
document.querySelector("#restart")?.addEventListener("click", () => all((video) => { video.currentTime = 0; }));
document.querySelector("#speed")?.addEventListener("change", ({ target }) => {
  speed = Number(target.value);
  all((video) => { video.playbackRate = speed; });
});

document.querySelectorAll(".wipe input").forEach((slider) => {
  const move = () => slider.parentElement.style.setProperty("--cut", `${slider.value}%`);
  slider.addEventListener("input", move);
  move();
});

document.querySelectorAll("th[data-sort]").forEach((head) => head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0];
  const column = [...head.parentElement.children].indexOf(head);
  const upwards = head.dataset.up !== "yes";
  head.dataset.up = upwards ? "yes" : "";
  const value = (row) => { const cell = row.cells[column]; return cell.dataset.value ?? cell.textContent; };
  const number = (row) => (/\d/.test(value(row)) ? Number(value(row)) : NaN);
  const order = (a, b) => head.dataset.sort === "number" ? number(a) - number(b) : value(a).localeCompare(value(b));
  // who has no number comes last, whichever way it goes
  const without = (row) => head.dataset.sort === "number" && Number.isNaN(number(row));
  [...body.rows]
    .sort((a, b) => without(a) - without(b) || (without(a) ? 0 : upwards ? order(a, b) : order(b, a)))
    .forEach((row) => body.append(row));
}));

const filters = [...document.querySelectorAll("[data-filter]")];
function narrow() {
  for (const card of document.querySelectorAll(".pair[data-words]")) {
    card.hidden = !filters.every(({ dataset, value }) => !value ||
      (dataset.filter === "words" ? card.dataset.words.includes(value.toLowerCase()) : card.dataset[dataset.filter] === value));
  }
}
filters.forEach((filter) => filter.addEventListener("input", narrow));
