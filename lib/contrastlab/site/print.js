// Prepares the page that holds the whole book for paper: chapters rise to the top level, solutions go to the back,
// everything else that is folded opens. parts: title of each part by the file of its first chapter.
(parts) => {
  const article = document.querySelector(".bd-article");
  const make = (tag, values) => Object.assign(document.createElement(tag), values);
  const solutions = make("section", { className: "solutions chapter" });
  solutions.append(make("h1", { textContent: "Solutions" }));
  let count = 0;

  const risen = (heading) => {
    const higher = make(`h${Math.max(1, heading.tagName[1] - 2)}`, { innerHTML: heading.innerHTML });
    heading.replaceWith(higher);
  };

  const toTheBack = (cell) => {
    count += 1;
    const note = make("p", { className: "to-solution", id: `exercise-${count}` });
    const textContent = `Solution ${count} is at the back of the book.`;
    note.append(make("a", { href: `#solution-${count}`, textContent }));
    cell.replaceWith(note);
    const title = make("p", { className: "solution", id: `solution-${count}` });
    title.append(make("a", { href: `#exercise-${count}`, textContent: `Solution ${count}` }));
    solutions.append(title, ...cell.querySelectorAll(".cell_input, .cell_output"));
  };

  for (const mark of document.querySelectorAll('[id^="document-"]')) {
    const chapter = mark.nextElementSibling;
    chapter.classList.add("chapter");
    const part = parts[mark.id.replace("document-", "")];
    chapter.querySelectorAll("h3, h4, h5, h6").forEach(risen);
    if (part) chapter.prepend(make("p", { className: "part", textContent: part }));
    const cells = chapter.querySelectorAll(".cell.tag_solution");
    const title = chapter.querySelector("h1").textContent.replace(/#$/, "");
    if (cells.length) solutions.append(make("h2", { textContent: title }));
    cells.forEach(toTheBack);
    article.append(mark, chapter);
  }
  if (count) article.append(solutions);
  document.querySelectorAll(".toctree-wrapper").forEach((emptied) => emptied.remove());
  document.querySelectorAll("details").forEach((details) => { details.open = true; });
}
