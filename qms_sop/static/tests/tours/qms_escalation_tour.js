import {registry} from "@web/core/registry";

// A rule of a policy is moved, and a shift is given to somebody.
registry.category("web_tour.tours").add("qms_escalation_tour", {
    steps: () => [
        {
            content: "The matrices of the runbooks are there",
            trigger: ".o_data_row:contains(High runs):contains(Technical lead →)",
        },
        {
            trigger: ".o_data_row:contains(Critical runs) td[name=name]",
            run: "click",
        },
        {
            trigger: ".o_data_row:contains(Engineering manager) td[name=when]",
            run: "click",
        },
        {
            trigger: ".modal div[name=minutes] input",
            run: "edit 25",
        },
        {
            trigger: ".modal .o_form_button_save",
            run: "click",
        },
        {
            content: "The rule says so in words",
            trigger:
                "body:not(:has(.modal)) .o_data_row:contains(Engineering manager):contains(not mitigated after 25 min)",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            trigger: "body:has(.o_form_view):not(:has(.o_form_dirty))",
        },
        {
            trigger: "button[data-menu-xmlid='qms_sop.qms_escalation_menu_root']",
            run: "click",
        },
        {
            trigger: "a[data-menu-xmlid='qms_sop.qms_role_menu']",
            run: "click",
        },
        {
            content: "Nobody holds it yet",
            trigger: ".o_data_row.text-danger td[name=name]:contains(On-call engineer)",
            run: "click",
        },
        {
            trigger: "div[name=shift_ids] .o_field_x2many_list_row_add a",
            run: "click",
        },
        {
            trigger: "div[name=shift_ids] .o_selected_row div[name=user_id] input",
            run: "edit qms_operator",
        },
        {
            trigger: ".o-autocomplete--dropdown-item:contains(qms_operator) > a",
            run: "click",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "The week shows who is on duty",
            trigger: ".nav-link[name=week]",
            run: "click",
        },
        {
            trigger: "div[name=week] td:contains(qms_operator)",
        },
    ],
});
