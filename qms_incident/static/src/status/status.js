// Shows times by the visitor's clock; without it they stand in the company's zone.
const shown = new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
    dateStyle: "medium",
    timeStyle: "short",
});
for (const element of document.querySelectorAll("time[datetime]")) {
    element.title = element.textContent;
    element.textContent = shown.format(new Date(element.dateTime));
}
