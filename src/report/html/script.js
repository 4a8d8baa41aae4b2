"use strict";
(function () {
  var tools = document.getElementById("tools");
  var search = document.getElementById("search");
  var found = document.getElementById("found");
  var bodies = Array.from(document.querySelectorAll("table.examples tbody"));
  if (!bodies.length) { return; }
  tools.hidden = false;
  var texts = bodies.map(function (body) { return body.textContent.toLowerCase(); });
  search.addEventListener("input", function () {
    var wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    var n = 0;
    bodies.forEach(function (body, at) {
      var hit = wanted.every(function (word) { return texts[at].includes(word); });
      body.hidden = !hit;
      if (hit) { n += 1; }
    });
    found.textContent = wanted.length ? n + " of " + bodies.length + " pairs" : "";
  });
  document.getElementById("unfold").addEventListener("click", function (event) {
    var open = event.target.getAttribute("aria-pressed") !== "true";
    event.target.setAttribute("aria-pressed", String(open));
    document.querySelectorAll("table.examples details").forEach(function (details) { details.open = open; });
  });
  document.querySelectorAll("table.examples").forEach(function (table) {
    var heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      if (!head.hasAttribute("data-sort")) { return; }
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.textContent = "";
      head.appendChild(button);
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") !== "descending";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        var key = function (body) {
          var cell = body.rows[0].cells[column];
          return cell.hasAttribute("data-v") ? cell.getAttribute("data-v") : cell.textContent;
        };
        Array.from(table.tBodies).map(function (body, at) { return { body: body, key: key(body), at: at }; })
          .sort(function (x, y) {
            var a = Number(x.key), b = Number(y.key);
            var order = isNaN(a) || isNaN(b) ? (x.key < y.key ? -1 : x.key > y.key ? 1 : 0) : a - b;
            return (down ? -order : order) || x.at - y.at;
          })
          .forEach(function (row) { table.appendChild(row.body); });
      });
    });
  });
})();
