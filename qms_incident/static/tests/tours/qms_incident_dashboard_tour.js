import {registry} from "@web/core/registry";

const FIGURE = ".o_qms_dashboard .o_qms_figure";

// From a figure to the incidents that it is made of, and back; filters; the report.
registry.category("web_tour.tours").add("qms_incident_dashboard_tour", {
    steps: () => [
        {
            content: "Of two incidents one is resolved, after an hour and a half",
            trigger: `${FIGURE}:contains(MTTR):contains(1 h 30 min):contains(1 of 2 known)`,
        },
        {
            content: "What is not known is no zero",
            trigger: `${FIGURE}:contains(MTTD) .o_qms_figure_value:contains(–)`,
        },
        {
            trigger: `${FIGURE}:contains(MTTR) button:contains(1 not yet)`,
            run: "click",
        },
        {
            content: "The list has exactly that one",
            trigger:
                ".o_list_view:has(.o_data_row:contains(Search finds nothing)):not(:has(.o_data_row:contains(Logins fail)))",
        },
        {
            trigger: ".o_back_button, .breadcrumb-item a:contains(Incident dashboard)",
            run: "click",
        },
        {
            trigger: `${FIGURE}:contains(MTTR)`,
        },
        {
            content: "The chart can be read as a table",
            trigger: ".o_qms_panel:contains(by month and severity) .o_qms_as_table",
            run: "click",
        },
        {
            trigger:
                ".o_qms_panel:contains(by month and severity) table td button:contains(2)",
        },
        {
            trigger: ".o_qms_dashboard select[name=severity]",
            run: "select critical",
        },
        {
            content: "None of them is critical",
            trigger: ".o_qms_nothing:contains(No incident in this period)",
        },
        {
            trigger: ".o_qms_nothing button:contains(Show 12 months)",
            run: "click",
        },
        {
            trigger:
                ".o_qms_dashboard button[data-period=last_12_months][aria-pressed=true]",
        },
        {
            trigger: ".o_qms_dashboard select[name=severity]",
            run: "select ",
        },
        {
            trigger: `${FIGURE}:contains(MTTR):contains(1 of 2 known)`,
        },
        {
            trigger: "button:contains(Monthly report)",
            run: "click",
        },
        {
            trigger: ".modal:contains(What happened to users in a month)",
        },
    ],
});
